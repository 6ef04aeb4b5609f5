"""Directories that are whole or absent."""

import contextlib
import ctypes
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.files import make_folder, sync
from engine.partials import partial_of, partials_of, remove_abandoned

# Of renameat2: relative to the working directory; both names stay.
_HERE, _EXCHANGE = -100, 2


@contextlib.contextmanager
def new_folder(path: Path, replace: bool = False) -> Iterator[Path]:
    """Yield an empty directory beside `path` that takes its name on success, synced, and on failure goes.

    replace: one that is there, at the end; without it OSError says that there is one by then. What killed
    writers left of such goes a day later.
    """
    make_folder(path.parent)
    beside = path.with_name(f"old-{path.name}")
    remove_abandoned([*partials_of(path), *partials_of(beside)])
    partial, old = partial_of(path), partial_of(beside)
    try:
        partial.mkdir()
        yield partial
        for written in (*partial.rglob("*"), partial):
            sync(written)
        if not (replace and path.exists() and exchanged(partial, path)):
            _give_name(partial, path, old if replace else None)
        sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def exchanged(one: Path, other: Path) -> bool:
    """Let two paths swap what they name, in one step; False where the system or the file system cannot.

    Linux's renameat2, which Python has not: between two renames a reader finds neither, and so does who
    comes after a kill.
    """
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    names = os.fsencode(one), os.fsencode(other)
    return rename is not None and rename(_HERE, names[0], _HERE, names[1], _EXCHANGE) == 0


def _give_name(partial: Path, path: Path, old: Path | None) -> None:
    """Rename a directory, after one that has the name already where `old` says what that is then called."""
    if old is not None and path.exists():
        # Removed first, there would be none for long, and none at all after a kill: it may be served.
        with contextlib.suppress(OSError):
            os.utime(path)  # or it would pass for left a day ago
        path.rename(old)
    try:
        partial.rename(path)
    except BaseException:
        if old is not None:
            with contextlib.suppress(OSError):
                old.rename(path)
        raise
