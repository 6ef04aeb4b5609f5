"""Locks on versions: shared while one is served, exclusive while one is removed; the writer's, the library's.

They are `flock` locks on files, so the kernel releases those of a killed process.
"""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from engine import versions
from engine.errors import NotFound, Unavailable
from engine.files import sync

WRITER, LIBRARY = ".writer.lock", ".library.lock"
PATIENCE = 10.0  # seconds that a command waits for another writer: what a library does takes less, mostly
# What file systems without locks answer.
LOCKLESS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)
_LOOK = 0.05
_LONGEST_NOTE = 100


@contextlib.contextmanager
def held(collection: Path, version: str) -> Iterator[None]:
    """Hold a version against removal; NotFound where it is not there."""
    path = versions.path_of(collection, version)
    with _opened(path) as number:
        with contextlib.suppress(OSError):  # a file system without locks protects nothing
            fcntl.flock(number, fcntl.LOCK_SH)
        if not path.exists() or not os.path.samestat(os.fstat(number), path.stat()):
            raise NotFound(f"{path} was removed just now; start again.", "GENERATION_NOT_FOUND")
        yield


@contextlib.contextmanager
def held_as(collection: Path, version: str = "") -> Iterator[str]:
    """Hold a version named by its id or its number, the current one for "", and yield its id."""
    name = versions.resolve(collection, version)
    with held(collection, name):
        yield name


@contextlib.contextmanager
def locked_for_removal(collection: Path, version: str) -> Iterator[bool]:
    """Try for an exclusive lock on a version; yield whether it was taken, that is, nobody holds it."""
    with _opened(versions.path_of(collection, version)) as number:
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
        else:
            yield True


@contextlib.contextmanager
def only_writer(collection: Path, what: str = "change", patience: float | None = None) -> Iterator[None]:
    """Be the only process that writes parts and versions; Unavailable (WRITER_RUNNING) where another is.

    what: is told to others meanwhile: "build". patience: seconds to wait for another, PATIENCE for None.
    """
    with _alone(collection, WRITER, what, PATIENCE if patience is None else patience) as other:
        if other is not None:
            message = f"another process writes {collection} ({other}): try again when it has ended."
            raise Unavailable(message, "WRITER_RUNNING")
        _settle(collection)
        yield


def _settle(collection: Path) -> None:
    """Sync all names: a writer that was killed may have left such as are seen and no disk has."""
    sync(collection)
    for pattern in ("*/", "models/*/", "features/*/"):
        for folder in collection.glob(pattern):
            sync(folder)


@contextlib.contextmanager
def only_library(collection: Path) -> Iterator[None]:
    """Be the only library process of a collection; Unavailable (LIBRARY_RUNNING) where another is."""
    with _alone(collection, LIBRARY, "library", 0) as other:
        if other is not None:
            message = f"another service adds to {collection} already ({other}): stop it, or use it."
            raise Unavailable(message, "LIBRARY_RUNNING")
        yield


def check_there(collection: Path) -> None:
    """NotFound (COLLECTION_AWAY) where a collection has no directory.

    Made again, it would be in the way of one that was moved, or whose disk was unmounted.
    """
    if not collection.is_dir():
        raise NotFound(f"{collection} does not exist, or its disk is away.", "COLLECTION_AWAY")


@contextlib.contextmanager
def _alone(collection: Path, name: str, what: str, patience: float) -> Iterator[str | None]:
    """Hold a lock of a collection and yield None, or yield who holds it, if for longer than `patience`."""
    check_there(collection)
    ends = time.monotonic() + patience
    with (collection / name).open("a+", encoding="utf-8") as handle:
        while not _locked(handle.fileno()):
            if time.monotonic() >= ends:
                handle.seek(0)
                yield handle.read(_LONGEST_NOTE) or "unknown"
                return
            time.sleep(_LOOK)
        # What makes room on a full disk takes this lock too.
        with contextlib.suppress(OSError):
            os.truncate(handle.fileno(), 0)
            os.write(handle.fileno(), f"{what}, process {os.getpid()}".encode())
        yield None


def _locked(number: int) -> bool:
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        number = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        raise NotFound(f"{path} does not exist.", "GENERATION_NOT_FOUND") from None
    try:
        yield number
    finally:
        os.close(number)
