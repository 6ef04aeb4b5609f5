"""Ways in which a file is damaged; `older` is the same file of another version, where there is one."""

import shutil
from collections.abc import Callable
from pathlib import Path

Damage = Callable[[Path, Path], None]


def flip(place: float) -> Damage:
    def damage(path: Path, older: Path) -> None:
        content = bytearray(path.read_bytes())
        content[int(place * (len(content) - 1))] ^= 1
        path.write_bytes(content)

    return damage


def cut(path: Path, older: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2])


def empty(path: Path, older: Path) -> None:
    path.write_bytes(b"")


def old(path: Path, older: Path) -> None:
    path.unlink()
    if older.is_file():
        shutil.copyfile(older, path)


def missing(path: Path, older: Path) -> None:
    path.unlink()


def locked(path: Path, older: Path) -> None:
    path.chmod(0)


def directory(path: Path, older: Path) -> None:
    path.unlink()
    path.mkdir()


DAMAGES = {
    "first bit": flip(0),
    "middle bit": flip(0.5),
    "last bit": flip(1),
    "cut": cut,
    "emptied": empty,
    "older": old,
    "missing": missing,
    "locked": locked,
    "directory": directory,
}
