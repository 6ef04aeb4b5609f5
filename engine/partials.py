"""Names of files and directories while they are written, and what killed processes left of them."""

import contextlib
import glob
import os
import secrets
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

LONGEST_NAME = 255  # bytes of a file's
ENDING = ".partial"
# Seconds without a change, after which nobody writes it any more: other machines' processes cannot be seen.
ABANDONED = 24 * 3600.0
_TOKEN = secrets.token_hex(4)
_OF_NAME = 200  # bytes; two numbers, the token, and dots follow


def this_writer() -> str:
    """Return what names this thread beside those of other machines: processes of containers have one id."""
    return f"{os.getpid()}-{threading.get_native_id()}-{_TOKEN}"


def partial_of(path: Path) -> Path:
    """Return a path beside `path`, of this writer alone; it can be made wherever `path` can."""
    return path.with_name(f".{_cut(path.name)}.{this_writer()}{ENDING}")


def partials_of(path: Path) -> Iterator[Path]:
    """Yield what `partial_of` named for `path`, of all writers."""
    return path.parent.glob(f".{glob.escape(_cut(path.name))}.*{ENDING}")


def _cut(name: str) -> str:
    """Return what of a name leaves room for the rest of a partial one."""
    return os.fsencode(name)[:_OF_NAME].decode("utf-8", "ignore")


def all_partials(folder: Path, levels: int) -> Iterator[Path]:
    """Yield what is being written, by whomever, in so many levels of directories, `folder` the first."""
    for place, folders, files in os.walk(folder):
        here = Path(place)
        named = [name for name in (*folders, *files) if name.startswith(".") and name.endswith(ENDING)]
        deep = len(here.relative_to(folder).parts) + 1 >= levels
        folders[:] = [] if deep else [name for name in folders if name not in named]
        yield from (here / name for name in named)


def remove_abandoned(found: Iterable[Path]) -> None:
    """Remove those of some files and directories in which nothing has changed for ABANDONED seconds.

    What may not be removed, as it is another user's, stays.
    """
    for path in found:
        if time.time() - _changed(path) > ABANDONED:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    path.unlink()


def _changed(path: Path) -> float:
    """Return when a file, or anything in a directory, changed last; what has gone meanwhile did now."""
    try:
        return max(each.lstat().st_mtime for each in (path, *path.rglob("*")))
    except FileNotFoundError:
        return time.time()
