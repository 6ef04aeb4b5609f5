"""Find video files."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

EXTENSIONS = frozenset(
    ".3gp .asf .avi .flv .gif .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .mxf .ogv .ts .vob .webm .wmv".split()
)


@dataclass(frozen=True, slots=True)
class Found:
    """A file to ingest. path: absolute. relative: below the directory that was given, without extension."""

    path: Path
    relative: str

    @property
    def stem(self) -> str:
        """The file's name without extension, as text even where the file system's bytes are not."""
        return printable(self.path.stem)


def find(paths: Iterable[Path]) -> list[Found]:
    """Return every file named, and every video below every directory named, each once, sorted by path.

    A file that is named is taken whatever its extension, and whether or not it exists: its error is reported
    with the others'. Hidden files and directories are passed over; links to directories are not followed.
    """
    found: dict[Path, Found] = {}
    for path in paths:
        absolute = Path(os.path.abspath(path))
        for file in _videos_below(absolute) if absolute.is_dir() else [absolute]:
            root = absolute if absolute.is_dir() else file.parent
            relative = printable(file.relative_to(root).with_suffix("").as_posix())
            found.setdefault(file, Found(file, relative))
    return [found[path] for path in sorted(found)]


def printable(name: str) -> str:
    """Return a file name as valid Unicode; bytes that are none become U+FFFD."""
    return os.fsencode(name).decode("utf-8", "replace")


def _videos_below(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            suffix = os.path.splitext(name)[1].lower()
            path = Path(folder, name)
            if suffix in EXTENSIONS and not name.startswith(".") and (suffix != ".ts" or _is_transport(path)):
                yield path


def _is_transport(path: Path) -> bool:
    """Whether a .ts file is an MPEG transport stream and not TypeScript."""
    try:
        with path.open("rb") as file:
            return file.read(1) in (b"G", b"")
    except OSError:
        return True
