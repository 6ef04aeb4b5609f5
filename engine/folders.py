"""Directories that are whole or absent."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from engine.files import make_folder, sync
from engine.partials import partial_of, partials_of, remove_abandoned


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
        if replace and path.exists():
            # Removed first, there would be none for long, and none at all after a kill: it may be served.
            with contextlib.suppress(OSError):
                os.utime(path)  # or it would pass for left a day ago
            path.rename(old)
        try:
            partial.rename(path)
        except BaseException:
            with contextlib.suppress(OSError):
                old.rename(path)
            raise
        sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
