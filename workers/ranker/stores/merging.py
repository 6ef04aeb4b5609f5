"""Compaction of what the ranker reads: the files of several parts written as those of one.

Rows are copied as they are, bit by bit, a video at a time, in the order of the new part. Everything is
synced, nothing is atomic: the caller renames the part into place.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.entries import StreamEntry
from engine.errors import Mismatch
from engine.files import read_json, write_json
from engine.types import Ordinals
from workers.ranker.stores import contexts, features
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FeatureMaps
from workers.ranker.stores.joined import AnyRows, Counts, offsets_of
from workers.ranker.stores.npy import save, write_rows

# A part's directory, and the numbers (n,) of its videos that are kept.
Kept = tuple[Path, Ordinals]


def merge_context(directory: Path, parts: Sequence[Kept], order: NDArray[np.integer]) -> None:
    """Write the context files of a merged part into `directory`, its `context`.

    order: (videos,) the new part's videos, each as its place among the kept ones of all parts, part after
    part. Mismatch where the parts have not the same streams.
    """
    directory.mkdir(parents=True, exist_ok=True)
    about, kept = _agreed([part / features.DIRECTORY / "streams.json" for part, _ in parts]), _ordinals(parts)
    maps = FeatureMaps.of_parts([FeatureMaps.open(part) for part, _ in parts], kept, _entries(about))
    for name in about:
        stream = maps.streams[name]
        counts = stream.counts[order]
        blocks = _blocks(stream.rows, stream.starts[order], counts)
        write_rows(directory / f"{name}.npy", int(counts.sum()), blocks, stream.rows[:0])
        save(directory / f"{name}.offsets.npy", offsets_of(counts))
    save(directory / "durations.npy", maps.durations[order])
    write_json(directory / "streams.json", about)


def merge_encoded(directory: Path, parts: Sequence[Kept], order: NDArray[np.integer]) -> None:
    """Write the stored contexts of a merged part into `directory`, its `encoded`; see `merge_context`.

    Mismatch where the parts' contexts are of different rankers, widths or types.
    """
    directory.mkdir(parents=True, exist_ok=True)
    store = EncodedStore.of_parts([EncodedStore.open(part) for part, _ in parts], _ordinals(parts))
    starts, clips = store.starts[order], store.clips[order]
    for name, stream in store.streams.items():
        columns = {"": stream.unit, ".norms": stream.norms, ".scales": stream.scales}
        for suffix, rows in columns.items():
            if rows is not None:
                path = directory / f"{name}{suffix}.npy"
                write_rows(path, int(clips.sum()), _blocks(rows, starts, clips), rows[:0])
    save(directory / "offsets.npy", offsets_of(clips))
    about = read_json(parts[0][0] / contexts.DIRECTORY / "encoded.json")
    write_json(directory / "encoded.json", about | {"clips": int(clips.sum()), "videos": len(clips)})


def _ordinals(parts: Sequence[Kept]) -> list[Ordinals]:
    """Return the kept videos' places among those of all parts, part after part; -1 for the others."""
    found, begin = [], 0
    for part, numbers in parts:
        ordinals = np.full(len(np.load(part / features.DIRECTORY / "durations.npy")), -1, np.int32)
        ordinals[numbers] = np.arange(begin, begin + len(numbers), dtype=np.int32)
        begin += len(numbers)
        found.append(ordinals)
    return found


def _agreed(paths: Sequence[Path]) -> dict[str, Any]:
    """Return what files of all parts say; Mismatch where they differ."""
    found: list[dict[str, Any]] = [read_json(path, dict) for path in paths]
    odd = next((path for path, values in zip(paths, found, strict=True) if values != found[0]), None)
    if odd is not None:
        raise Mismatch(f"{odd} is not as in {paths[0]}; run `spr build`")
    return found[0]


def _entries(about: dict[str, Any]) -> dict[str, StreamEntry]:
    return {name: StreamEntry(**values) for name, values in about.items()}


def _blocks(rows: AnyRows, starts: Counts, counts: Counts) -> Iterator[NDArray[Any]]:
    for start, count in zip(starts.tolist(), counts.tolist(), strict=True):
        yield rows[start : start + count]
