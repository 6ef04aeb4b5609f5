"""Locks on versions: shared while one is served, exclusive while one is removed; and the writer's lock.

They are `flock` locks on the version's file, so the kernel releases those of a killed process.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from engine import versions
from engine.errors import NotFound, Unavailable
from engine.files import make_folder, sync

WRITER = ".writer.lock"


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
def only_writer(collection: Path, what: str = "change") -> Iterator[None]:
    """Be the only process that writes parts and versions; Unavailable (WRITER_RUNNING) where one is.

    what: of the collection, in the message: "build".
    """
    make_folder(collection)
    with (collection / WRITER).open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"another {what} of {collection} is running, or a service that writes it: wait for it, "
            raise Unavailable(
                message + "stop it, or use `spr admin add` and `delete`.", "WRITER_RUNNING"
            ) from None
        _settle(collection)
        yield


def _settle(collection: Path) -> None:
    """Sync all names: a writer that was killed may have left such as are seen and no disk has."""
    sync(collection)
    for pattern in ("*/", "models/*/", "features/*/"):
        for folder in collection.glob(pattern):
            sync(folder)


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
