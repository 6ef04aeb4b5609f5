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

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

# What is looked at before each of these.
_OPERATIONS = ("fsync", "rename", "replace", "link", "unlink", "remove", "mkdir", "rmdir", "symlink")

Entries = dict[str, int]
Change = tuple[tuple[str, ...], Entries]


@dataclass
class Tree:
    """Directories and files by inode: entries by name, and contents."""

    folders: dict[int, Entries] = field(default_factory=dict)
    files: dict[int, bytes] = field(default_factory=dict)

    @staticmethod
    def of(root: Path) -> "Tree":
        """Return what lies below a directory now."""
        tree, waiting = Tree(), [str(root)]
        while waiting:
            path = waiting.pop()
            entries: Entries = {}
            with os.scandir(path) as listed:
                for one in listed:
                    entries[one.name] = one.inode()
                    if one.is_dir(follow_symlinks=False):
                        waiting.append(one.path)
                    elif one.inode() not in tree.files:
                        tree.files[one.inode()] = Path(one.path).read_bytes()
            tree.folders[os.stat(path).st_ino] = entries
        return tree


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


@dataclass
class _Moment:
    """What there is before one operation, and what of it is on disk for sure."""

    before: str
    now: Tree
    durable: Tree
    acknowledged: tuple[str, ...]


class Recording:
    """Records what is done below a directory by this process's Python code, between enter and exit."""

    def __init__(self, root: Path, spare: Path) -> None:
        """spare: a directory on the same disk, which keeps what is removed, so that inodes are not reused."""
        self._root, self._spare, self._kept = root, spare, 0
        self._acknowledged: list[str] = []
        self._durable = Tree.of(root)
        self._moments: list[_Moment] = []
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

    def acknowledge(self, what: str) -> None:
        """Note that something was promised now."""
        self._acknowledged.append(what)

    def states(self) -> Iterator[State]:
        """Yield every state that a power cut before any of the operations may leave, each once."""
        root, seen = os.stat(self._root).st_ino, set()
        for moment in self._moments:
            for kind, tree in _outcomes(moment):
                state = State(root, tree, moment.before, kind, moment.acknowledged)
                if state.key() not in seen:
                    seen.add(state.key())
                    yield state

    def __len__(self) -> int:
        return len(self._moments)

    def _watched(self, name: str) -> Callable[..., Any]:
        original = getattr(os, name)

        def operation(*arguments: Any, **options: Any) -> Any:
            path = _path(arguments[1 if name in ("rename", "replace", "link") else 0], options)
            if not path.startswith(str(self._root)):
                return original(*arguments, **options)
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
        self._moments.append(_Moment(before, now, durable, tuple(self._acknowledged)))

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
        return os.readlink(f"/proc/self/fd/{given}")
    path = os.fspath(given)
    folder = options.get("dir_fd") or options.get("dst_dir_fd")
    if folder is not None and not os.path.isabs(path):
        return os.path.join(os.readlink(f"/proc/self/fd/{folder}"), path)
    return os.path.abspath(path)


def _outcomes(moment: _Moment) -> Iterator[tuple[str, Tree]]:
    """Yield what may be found: all there, unsynced contents lost or torn, and changes of names apart."""
    now, durable = moment.now, moment.durable
    yield "nothing lost", now
    unsynced = {inode for inode, content in now.files.items() if durable.files.get(inode) != content}
    kept = durable.files | now.files
    lost = dict.fromkeys(kept, b"") | durable.files
    torn = kept | {inode: _torn(durable.files.get(inode, b""), now.files[inode]) for inode in unsynced}
    contents = {"contents lost": lost, "contents torn": torn}
    for kind, files in contents.items():
        yield f"all names, {kind}", Tree(now.folders, files)
    changes = {
        inode: _changes(durable.folders.get(inode, {}), entries) for inode, entries in now.folders.items()
    }
    none = _named(now, durable, changes, {})
    yield "names lost", Tree(none, lost)
    yield "names lost, contents kept", Tree(none, kept)
    for inode, listed in changes.items():
        for change in listed if len(listed) + len(changes) > 1 else ():
            yield (
                f"only {change[0]} {list(change[1])}",
                Tree(_named(now, durable, changes, {inode: [change]}), lost),
            )


def _torn(synced: bytes, written: bytes) -> bytes:
    """Return half of what was written since; what was synced and not written over stays."""
    begin = len(synced) if written.startswith(synced) else 0
    return written[: (begin + len(written)) // 2]


def _changes(before: Entries, after: Entries) -> list[Change]:
    """Return the changes of a directory: each removes names and sets others."""
    gone = {inode: name for name, inode in before.items() if name not in after}
    made = {name: inode for name, inode in after.items() if before.get(name) != inode}
    moved = {name: gone.pop(inode) for name, inode in made.items() if inode in gone}
    changes: list[Change] = [
        ((moved[name],) if name in moved else (), {name: inode}) for name, inode in made.items()
    ]
    return changes + [((name,), {}) for name in gone.values()]


def _named(
    now: Tree, durable: Tree, changes: dict[int, list[Change]], chosen: dict[int, list[Change]]
) -> dict[int, Entries]:
    """Return the directories as they are on disk, with the chosen changes."""
    folders: dict[int, Entries] = {}
    for inode in {*now.folders, *durable.folders}:
        entries = dict(durable.folders.get(inode, {}))
        for removed, made in chosen.get(inode, []):
            entries = {name: child for name, child in entries.items() if name not in removed} | made
        folders[inode] = {
            name: child
            for name, child in entries.items()
            if child in now.files
            or child in now.folders
            or child in durable.files
            or child in durable.folders
        }
    return folders
