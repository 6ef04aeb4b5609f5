"""Staging of parts: a part is built under a temporary name and published whole, by a rename."""

import contextlib
import itertools
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from engine import parts
from engine.errors import SprError, Unavailable
from engine.files import disk_errors, make_folder, sync
from engine.partials import ENDING
from engine.verification import verify

TEMPORARY = ".building-"
_numbers = itertools.count()


@dataclass
class Staging:
    """A part while it is made: its directory, and the id that it is to have, set before the end."""

    path: Path
    id: str = ""


@contextlib.contextmanager
def staged(collection: Path) -> Iterator[Staging]:
    """Yield a new directory; on success it becomes the part of its id, on failure it is removed.

    Its files are read-only from then on. A part of the same id is kept if it is whole, else replaced: the id
    is a hash of the content. A disk's error that names no file names the directory.
    """
    home = collection / parts.PARTS
    make_folder(home)
    staging = Staging(home / f"{TEMPORARY}{os.getpid()}-{next(_numbers)}")
    try:
        with disk_errors(staging.path):
            staging.path.mkdir()
            yield staging
            _publish(collection, staging)
    finally:
        shutil.rmtree(staging.path, ignore_errors=True)


def _publish(collection: Path, staging: Staging) -> None:
    for path in staging.path.rglob("*"):
        if path.is_dir():
            sync(path)
        else:
            path.chmod(path.stat().st_mode & ~0o222)
    sync(staging.path)
    target = parts.directory(collection, staging.id)
    if target.exists():
        if is_whole(collection, staging.id):
            return
        remove(collection, staging.id)
    staging.path.rename(target)
    sync(target.parent)


def is_whole(collection: Path, part: str) -> bool:
    """Tell whether a part is there and every byte of it as part.json says."""
    try:
        about, _ = parts.read(collection, part)
        verify(parts.directory(collection, part), about)
    except SprError:
        return False
    return True


def remove(collection: Path, part: str) -> None:
    """Remove a part: renamed away first, so that no reader opens half of it."""
    path = parts.directory(collection, part)
    trash = path.with_name(f"{TEMPORARY}removed-{part}-{os.getpid()}")
    path.rename(trash)
    shutil.rmtree(trash)


def sweep(collection: Path) -> None:
    """Remove what killed processes left, of copied parts too. The caller holds the writer's lock."""
    for left in (collection / parts.PARTS).glob(f"{TEMPORARY}*"):
        shutil.rmtree(left)
    for left in (collection / parts.PARTS).rglob(f".*{ENDING}"):
        left.unlink()


def check_room(collection: Path, needed: int) -> None:
    """Refuse (Unavailable) to begin what the disk cannot hold; `needed` bytes."""
    free = shutil.disk_usage(collection).free
    if free < needed:
        raise Unavailable(
            f"{collection} needs {needed / 2**20:.0f} MB more and the disk has {free / 2**20:.0f} MB free: "
            "make room, or remove old versions with `spr gc`.",
            "DISK_FULL",
        )
