"""Room in a mirror: parts that nothing needs go when others come. The caller holds the mirror's lock."""

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine import parts, staging, version_lock, versions
from engine.entries import Version
from engine.errors import SprError, Unavailable
from engine.files import make_folder, refusal

_LOCK = ".mirror.lock"


@contextlib.contextmanager
def alone(home: Path, what: str = "") -> Iterator[None]:
    """Be the only one of this machine's processes and threads that changes `what` of a mirror.

    InvalidInput or Unavailable where its disk refuses.
    """
    try:
        make_folder(home)
        handle = (home / (f"{_LOCK}.{what}" if what else _LOCK)).open("a")
    except OSError as error:
        raise refusal(error) from None
    with handle:
        fcntl.flock(handle.fileno(), fcntl.LOCK_EX)
        yield


def make(home: Path, about: Version, needed: int, most: int, name: str) -> None:
    """Remove parts, those longest out of use first, until `needed` bytes more are no more than `most`.

    about: the version that is coming; name: what its place is called. Kept are its parts, those of versions
    that a process holds, and of the current one; Unavailable (CACHE_FULL) where these are too many.
    """
    sizes = {folder.name: _size(folder) for folder in (home / parts.PARTS).glob("[!.]*")}
    kept = {entry.id for entry in about.parts} | _held(home)
    over = sum(sizes.values()) + needed - most
    free = [part for part in sizes if part not in kept]
    freed = sum(sizes[part] for part in free)
    if over > freed:
        message = (
            f"version {about.id} of {name} and what is in use need {most + over - freed} bytes of parts "
        )
        message += f"here, and cache_bytes is {most}: write a larger one into the topology."
        raise Unavailable(message, "CACHE_FULL")
    for part in sorted(free, key=lambda part: _used(home / parts.PARTS / part)):
        if over > 0:
            staging.remove(home, part)
            over -= sizes[part]


def remove(*paths: Path) -> None:
    """Remove files and folders, where they are there."""
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)


def _held(home: Path) -> set[str]:
    found, current = set[str](), versions.newest(home)
    for number in versions.numbers(home):
        with contextlib.suppress(SprError):
            about = versions.read(home, str(number))
            with version_lock.locked_for_removal(home, about.id) as free:
                if about.id == current or not free:
                    found.update(entry.id for entry in about.parts)
    return found


def _used(part: Path) -> float:
    try:
        return (part / parts.PART).stat().st_mtime
    except OSError:
        return 0.0


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
