"""Erase rows that no video of a feature store has any more: of deleted and of replaced ones."""

import os
from collections.abc import Iterator

from engine.files import sync
from workers.feature_store.single import SingleStore
from workers.feature_store.store import FeatureStore

_BLOCK = 1 << 20


def erase(store: FeatureStore) -> int:
    """Overwrite them with zeros, synced, and return how many rows. store: open for appending, whole."""
    return sum(_erase(part) for part in store.parts.values())


def _erase(store: SingleStore) -> int:
    count = 0
    for name, stream in store.streams.items():
        width = stream.dim * store.dtype.itemsize
        path = store.path / f"{name}.bin"
        with path.open("r+b", buffering=0) as file:
            for first, end in _gaps(store, name, path.stat().st_size // width):
                _zero(file.fileno(), first * width, end * width)
                count += end - first
        sync(path)
    return count


def _gaps(store: SingleStore, stream: str, rows: int) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of the rows that no video has."""
    spans = sorted(store.record(video).streams[stream] for video in store.ids())
    place = 0
    for first, count in spans:
        if first > place:
            yield place, first
        place = max(place, first + count)
    if place < rows:
        yield place, rows


def _zero(file: int, place: int, end: int) -> None:
    while place < end:
        place += os.pwrite(file, bytes(min(_BLOCK, end - place)), place)
