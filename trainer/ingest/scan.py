"""Finds video files below the given paths."""

import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

from engine.printable import printable as shown
from trainer.ingest import media
from trainer.ingest.looks import BY_NAME, is_video, left_out


@dataclass(frozen=True, slots=True)
class VideoFile:
    """A file to ingest. path: absolute. relative: below the directory that was given, without extension."""

    path: Path
    relative: str

    @property
    def stem(self) -> str:
        """The file's name without extension, as `printable` shows it."""
        return printable(self.path.stem)


class Files(Sequence[VideoFile]):
    """Files to ingest in order of path, made as they are asked for: a path takes a fifth of a VideoFile."""

    def __init__(
        self, found: Iterable[str] = (), roots: Sequence[Path] = (), of: Mapping[str, int] | None = None
    ) -> None:
        """found: absolute paths. of: the number of each one's directory in `roots`, None for the first."""
        # By parts, as paths compare.
        paths = sorted(found, key=lambda path: path.replace("/", "\0"))
        numbers = bytes(4 * len(paths)) if of is None else array("I", (of[path] for path in paths))
        self._set(paths, array("I", numbers), roots)

    def _set(self, paths: list[str], of: "array[int]", roots: Sequence[Path]) -> None:
        self._paths, self._of, self._roots = paths, of, roots

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, place: int) -> VideoFile: ...

    @overload
    def __getitem__(self, place: slice) -> "Files": ...

    def __getitem__(self, place: int | slice) -> "VideoFile | Files":
        """Return a file, or some."""
        if isinstance(place, slice):
            some = Files()
            some._set(self._paths[place], self._of[place], self._roots)
            return some
        return _found(Path(self._paths[place]), self._roots[self._of[place]])

    def only(self, keep: Callable[[VideoFile], bool]) -> "Files":
        """Return those that are to be kept."""
        pairs = [(p, of) for p, of, file in zip(self._paths, self._of, self, strict=True) if keep(file)]
        some = Files()
        some._set([path for path, _ in pairs], array("I", (of for _, of in pairs)), self._roots)
        return some

    def stems(self) -> Iterator[str]:
        """Yield the stem of each file."""
        for first in range(0, len(self._paths), _AT_ONCE):
            names = [path.rpartition("/")[2] for path in self._paths[first : first + _AT_ONCE]]
            yield from _stems(names)


# Recycle bins of Windows, Synology and QNAP; those of other systems are hidden by their names.
_BINS = frozenset({"$recycle.bin", "recycler", "#recycle", "@recycle"})
# Names that are looked at together.
_AT_ONCE = 1000


def _stems(names: Sequence[str]) -> Iterator[str]:
    joined = "/".join([*names, ""])
    # What a name is shown by, and what its stem is, needs a look at each one where one is odd.
    if joined.isascii() and joined.isprintable() and "./" not in joined:
        return (name.rpartition(".")[0] or name for name in names)
    return (printable(Path(name).stem) for name in names)


@dataclass(slots=True)
class Survey:
    """What lies below the paths given. Of the rest: (path, why it is not taken).

    unreadable: folders that could not be listed. left_out: what looks like a video, or may hold some.
    """

    found: Files = field(default_factory=Files)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)
    left_out: list[tuple[Path, str]] = field(default_factory=list)


def find(paths: Iterable[Path]) -> list[VideoFile]:
    """Return what `survey` finds."""
    return list(survey(paths).found)


def survey(paths: Iterable[Path]) -> Survey:
    """Return every file named, and every video below every directory named, each once, sorted by path.

    A file that is named is taken whatever its extension, and whether or not it exists: its error is reported
    with the others'. Hidden files and directories are passed over; links to directories are not followed.
    """
    found: dict[str, int] = {}
    told = Survey()
    given = [media.absolute(path) for path in paths]
    roots: list[Path] = []
    there: Iterable[str]
    for absolute in given:
        if media.is_remote(absolute):
            there = _videos_in_store(absolute, told)
            folder = there != [str(absolute)]
        else:
            folder = os.path.isdir(absolute)
            there = _videos_below(absolute, told) if folder else [str(absolute)]
        roots.append(absolute if folder else absolute.parent)
        if len(given) == 1:
            # No path comes twice: two million need no table.
            told.found = Files(there, roots)
            break
        for file in there:
            found.setdefault(file, len(roots) - 1)
    told.found = told.found or Files(found, roots, found)
    told.unreadable = sorted(set(told.unreadable))
    told.left_out = sorted(
        {(path, why) for path, why in told.left_out if str(path) not in found and path not in given}
    )
    return told


def printable(name: str) -> str:
    """Return a file name as text without control characters; bytes that are no Unicode become U+FFFD."""
    return shown(os.fsencode(name).decode("utf-8", "replace"))


def _found(file: Path, root: Path) -> VideoFile:
    return VideoFile(file, printable(file.relative_to(root).with_suffix("").as_posix()))


def _videos_in_store(top: Path, told: Survey) -> list[str]:
    """Return the file that a URL names, or the videos below it by their names: reading is a request."""
    try:
        there = media.below(top)
    except OSError as error:
        told.unreadable.append((top, f"it cannot be read: {error.strerror}"))
        return []
    return [str(path) for path in there if path == top or is_video(path)]


def _videos_below(root: Path, told: Survey) -> Iterator[str]:
    """Yield the videos below a directory; note in `told` what is not taken."""

    def unreadable(error: OSError) -> None:
        told.unreadable.append((Path(error.filename), f"it cannot be read: {error.strerror}"))

    for folder, folders, names in os.walk(root, onerror=unreadable):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        bins = [Path(folder, name) for name in folders if name.lower() in _BINS]
        told.left_out += [(path, "what is deleted lies there; name it to take it") for path in bins]
        folders[:] = [name for name in folders if name.lower() not in _BINS]
        links = [Path(folder, name) for name in folders if os.path.islink(os.path.join(folder, name))]
        told.left_out += [(link, "links to folders are not followed; name it to take it") for link in links]
        below = f"{folder.rstrip('/')}/"
        # What needs no look is most of it, and is taken at once: there may be millions.
        plain = [name for name in sorted(names) if name[name.rfind(".") :].lower() in BY_NAME]
        yield from [below + name for name in plain if name[0] != "."]
        for name in set(names).difference(plain) if len(plain) < len(names) else ():
            if name.startswith("."):
                if name.endswith(".icloud") and is_video(Path(name).with_suffix("")):
                    told.left_out.append((Path(below + name), "it is in iCloud and not here; download it"))
                continue
            if is_video(path := Path(below + name)):
                yield str(path)
            elif reason := left_out(path):
                told.left_out.append((path, reason))
