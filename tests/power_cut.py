"""What a power cut may leave on disk: a recording of file operations, and the states after each of them.

The model is POSIX's, as file systems are allowed to take it. What was written is on disk once its file was
synced, before that it may be lost or torn; a name that was made, moved or removed is on disk once its
directory was synced, before that each change of a directory may be there or not, in any order. A rename
inside one directory is one change.

    with Recording(folder) as recording:
        recording.acknowledge("first")      # nothing of what was done so far may be lost from here on
        ...
    for state in recording.states():
        state.write(elsewhere)
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

from tests.crash_states import Moment, Tree, outcomes

# What is looked at before each of these.
_OPERATIONS = ("fsync", "rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir", "symlink")


@dataclass(frozen=True)
class State:
    """A directory as it may be found after a power cut. before: the operation that did not happen any more.

    acknowledged: what had been acknowledged by then, in order. kind: what was lost.
    """

    root: int
    tree: Tree
    before: str
    kind: str
    acknowledged: tuple[str, ...]

    def write(self, target: Path) -> None:
        """Make the state real."""
        self._write(self.root, target)

    def key(self) -> object:
        """Return what two equal states have in common."""
        return self._content(self.root), self.acknowledged

    def _write(self, inode: int, target: Path) -> None:
        target.mkdir(exist_ok=True)
        for name, child in self.tree.folders[inode].items():
            if child in self.tree.folders:
                self._write(child, target / name)
            else:
                (target / name).write_bytes(self.tree.files[child])

    def _content(self, inode: int) -> object:
        if inode not in self.tree.folders:
            return hash(self.tree.files[inode])
        return tuple(sorted((name, self._content(child)) for name, child in self.tree.folders[inode].items()))


class Killed(BaseException):
    """The process ends here."""


class Recording:
    """Records what is done below a directory by this process's Python code, between enter and exit."""

    def __init__(self, root: Path, spare: Path) -> None:
        """spare: a directory on the same disk, which keeps what is removed, so that inodes are not reused."""
        self._root, self._spare, self._kept = root, spare, 0
        self._acknowledged: list[str] = []
        self._durable = Tree.of(root)
        self._moments: list[Moment] = []
        self._left: float = float("inf")
        self._patches = [mock.patch.object(os, name, self._watched(name)) for name in _OPERATIONS]

    def __enter__(self) -> Self:
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for patch in self._patches:
            patch.stop()
        self._look("the end")

    @contextlib.contextmanager
    def killed(self, after: int) -> Iterator[None]:
        """Kill what runs inside after so many operations: nothing that it does then reaches the disk."""
        self._left = after
        with contextlib.suppress(Killed):
            yield
        self._left = float("inf")

    @property
    def operations(self) -> int:
        """How many operations were recorded so far."""
        return len(self._moments)

    def acknowledge(self, what: str) -> None:
        """Note that something was promised now."""
        self._acknowledged.append(what)

    def states(self, begin: int = 0) -> Iterator[State]:
        """Yield every state that a power cut before an operation may leave, from the one of that number on.

        Each is yielded once.
        """
        root, seen = os.stat(self._root).st_ino, set()
        for moment in self._moments[begin:]:
            for kind, tree in outcomes(moment):
                state = State(root, tree, moment.before, kind, moment.acknowledged)
                if state.key() not in seen:
                    seen.add(state.key())
                    yield state

    def _watched(self, name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def operation(*arguments: Any, **options: Any) -> Any:
            path = _path(arguments[1 if name in ("rename", "replace", "link") else 0], options)
            if not path.startswith(str(self._root)):
                return original(*arguments, **options)
            self._left -= 1
            if self._left < 0:
                raise Killed
            self._look(f"{name} {path.removeprefix(str(self._root))}")
            if name in ("unlink", "remove", "replace", "rename") and os.path.isfile(path):
                self._keep(path)
            result = original(*arguments, **options)
            if name == "fsync":
                self._synced(path)
            elif name == "link" and not _path(arguments[0], {}).startswith(str(self._root)):
                # What lies elsewhere is on disk already.
                self._durable.files[os.stat(path).st_ino] = Path(path).read_bytes()
            elif name == "mkdir":
                # The number may have been another's, which was removed.
                self._durable.folders[os.stat(path).st_ino] = {}
            return result

        return operation

    def _keep(self, path: str) -> None:
        self._kept += 1
        _link(path, str(self._spare / str(self._kept)))

    def _look(self, before: str) -> None:
        now = Tree.of(self._root)
        durable = Tree(dict(self._durable.folders), dict(self._durable.files))
        self._moments.append(Moment(before, now, durable, tuple(self._acknowledged)))

    def _synced(self, path: str) -> None:
        inode = os.stat(path).st_ino
        if os.path.isdir(path):
            with os.scandir(path) as listed:
                self._durable.folders[inode] = {one.name: one.inode() for one in listed}
        else:
            self._durable.files[inode] = Path(path).read_bytes()


_link = os.link


def _path(given: Any, options: dict[str, Any]) -> str:
    if isinstance(given, int):
        return str(os.readlink(f"/proc/self/fd/{given}"))
    path: str = os.fspath(given)
    folder = options.get("dir_fd") or options.get("dst_dir_fd")
    if folder is not None and not os.path.isabs(path):
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
    return os.path.abspath(path)
