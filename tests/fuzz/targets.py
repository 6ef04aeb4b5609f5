"""What a file fuzzer tries: readers, the files they read, and how those come to be."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.errors import SprError

Seeds = Callable[[Path], Sequence[bytes]]
Read = Callable[[Path, bytes], object]


@dataclass(frozen=True)
class Target:
    """A reader. seeds: good files, the first surely. read: in a folder, what the bytes say.

    Of `read` an SprError alone may come, whatever the bytes are. Both get the same folder. head: bytes at the
    beginning of an input that are not the file's.
    """

    name: str
    seeds: Seeds
    read: Read
    head: int = 0


def of_file(name: str, read: Callable[[Path], object], *seeds: bytes) -> Target:
    """Return a target whose bytes are those of one file. name: the target's, and the file's ending."""

    def write(folder: Path, data: bytes) -> object:
        path = folder / name
        path.write_bytes(data)
        return read(path)

    return Target(name, lambda _: seeds, write)


def of_tree(
    name: str,
    make: Callable[[Path], object],
    read: Callable[[Path], object],
    mend: Callable[[Path, Path], object] | None = None,
) -> Target:
    """Return a target that changes one file of a directory.

    make: writes the directory. The first byte of an input chooses the
    file, the rest is its content. mend: gets the directory and the file; if the second byte is odd it may
    write checksums anew, so that what is behind them is reached.
    """

    def seeds(folder: Path) -> list[bytes]:
        good = folder / "good"
        good.mkdir()
        make(good)
        contents = [path.read_bytes() for path in _files(good)]
        return [bytes([row, odd]) + data for row, data in enumerate(contents) for odd in (0, 1)]

    def change(folder: Path, data: bytes) -> object:
        good, here = folder / "good", folder / "here"
        if len(data) < 2:
            return None
        shutil.rmtree(here, ignore_errors=True)
        shutil.copytree(good, here)
        paths = list(_files(here))
        path = paths[data[0] % len(paths)]
        path.write_bytes(data[2:])
        if mend is not None and data[1] % 2:
            mend(here, path)
        return read(here)

    return Target(name, seeds, change, head=2)


def each(*reads: Callable[[], object]) -> None:
    """Read all; an SprError of one does not keep the others from being read."""
    for read in reads:
        with suppress(SprError):
            read()


def _files(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.rglob("*") if path.is_file())
