"""Making a store's directory: empty, whole or absent, also where several writers begin at once."""

import contextlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from engine.errors import InvalidInput, Unavailable
from workers.feature_store.format import Stream, check_header, read_header, told, write_header
from workers.feature_store.locking import lock
from workers.feature_store.shares import part_path

T = TypeVar("T")

_PATIENCE, _LOOK = 5.0, 0.02  # seconds


def make(path: Path, streams: Mapping[str, Stream], dtype: str, meta: Mapping[str, Any]) -> None:
    """Make an empty store; InvalidInput where one exists already, Unavailable where one is being made."""
    check_header(path, streams, dtype)
    with told(path, "written"), lock(path, new=True):
        if (path / "store.json").exists():
            raise InvalidInput(f"there is already a feature store in {path}; choose another path")
        write_header(path, streams, dtype, meta)


def make_once(path: Path, streams: Mapping[str, Stream], dtype: str, meta: Mapping[str, Any]) -> None:
    """Make an empty store where there is none; another writer may make it at the same time."""
    check_header(path, streams, dtype)

    def attempt() -> None:
        if not (path / "store.json").exists():
            with contextlib.suppress(InvalidInput):
                make(path, streams, dtype, meta)

    _patiently(attempt)


def make_part(path: Path, part: int) -> None:
    """Make a part of the store at `path`, as part 0 is, where there is none; its writer alone does so."""
    header, folder = read_header(path), part_path(path, part)
    if not (folder / "store.json").exists():
        make(folder, header.streams, header.dtype.name, header.meta)


def shared_lock(path: Path) -> BinaryIO:
    """Be one of several writers of a store until the file returned is closed; else Unavailable."""
    return _patiently(lambda: lock(path, shared=True))


def _patiently(attempt: Callable[[], T]) -> T:
    """Try again for a while: writers that begin at once meet at the lock for an instant."""
    late = time.monotonic() + _PATIENCE
    while True:
        try:
            return attempt()
        except Unavailable:
            if time.monotonic() > late:
                raise
            time.sleep(_LOOK)
