"""What the ranker reads: the features of a part's videos by number, and of a version's by ordinal.

    context/streams.json            {"frames": {"dim", "step", "dtype"}, "subtitles": ...}
    context/durations.npy           float64 (videos,)
    context/<stream>.npy            (rows, dim), all videos of the part one after the other by number
    context/<stream>.offsets.npy    int64 (videos + 1,): video v owns rows [offsets[v], offsets[v + 1])

The files are memory-mapped: opening a collection of any size costs nothing, and a window is a slice. A part
is mapped once; a version is a view of its parts' maps.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.entries import StreamEntry
from engine.errors import Mismatch, NotFound
from engine.files import read_json, write_json
from engine.types import Doubles, Ordinals
from workers.feature_store.store import FeatureStore
from workers.ranker.stores.joined import (
    AnyRows,
    Counts,
    arrays_of,
    bases_of,
    by_ordinal,
    joined,
    offsets_of,
    places,
)
from workers.ranker.stores.npy import save, write_rows

FRAMES = "frames"
SUBTITLES = "subtitles"
CLIPS = "clips"  # a row a segment, by a clip encoder
SEGMENT = 4  # frames, without a trained projector
DIRECTORY = "context"


@dataclass(frozen=True, slots=True)
class FeatureStream:
    """One feature stream: rows (n, dim) float16 or float32, step in seconds.

    starts, counts: (videos,) int64; video v owns rows [starts[v], starts[v] + counts[v]).
    """

    rows: AnyRows
    starts: Counts
    counts: Counts
    step: float

    @staticmethod
    def of(rows: NDArray[Any], counts: Sequence[int] | Counts, step: float) -> "FeatureStream":
        """Return the stream of videos that lie one after the other, with so many rows each."""
        offsets = offsets_of(counts)
        return FeatureStream(rows, offsets[:-1], np.diff(offsets), step)

    @property
    def dim(self) -> int:
        """Width of a row."""
        return int(self.rows.shape[1])


@dataclass(frozen=True, slots=True)
class FeatureMaps:
    """Read-only features of videos 0..n-1.

    streams: by name; FRAMES always. durations: (n,) float64 seconds.
    """

    streams: Mapping[str, FeatureStream]
    durations: NDArray[np.float64]

    @staticmethod
    def open(part: Path) -> "FeatureMaps":
        """Map the context files of a part, by number; raise NotFound or Mismatch when they are not whole."""
        directory = part / DIRECTORY
        if not (directory / "streams.json").is_file():
            raise NotFound(f"{directory} holds no ranker features; run `spr build` again")
        durations = np.load(directory / "durations.npy")
        streams = {}
        for name, about in read_json(directory / "streams.json").items():
            rows = np.load(directory / f"{name}.npy", mmap_mode="r")
            offsets = np.load(directory / f"{name}.offsets.npy")
            whole = len(offsets) == len(durations) + 1 and offsets[-1] == len(rows)
            if not whole or rows.shape[1] != about["dim"]:
                raise Mismatch(f"{directory / name}.npy does not fit its offsets; run `spr build` again")
            streams[name] = FeatureStream(rows, offsets[:-1], np.diff(offsets), float(about["step"]))
        return FeatureMaps(streams, durations)

    @staticmethod
    def of_parts(
        parts: Sequence["FeatureMaps"],
        ordinals: Sequence[Ordinals],
        streams: Mapping[str, StreamEntry],
        durations: Doubles | None = None,
    ) -> "FeatureMaps":
        """Return a version's view of its parts' maps, by ordinal.

        ordinals: of each part's videos, -1 for a deleted one. streams: those of the version. durations: of
        all its videos, where the parts are not all of its parts: others have no rows. Mismatch where a part
        does not fit.
        """
        videos = None if durations is None else len(durations)
        made = {}
        for name, about in streams.items():
            found = [part.streams[name] for part in parts if name in part.streams]
            arrays = [array for stream in found for array in arrays_of(stream.rows)]
            arrays = arrays or [np.zeros((0, about.dim), about.dtype)]
            if len(found) != len(parts) or any(stream.step != about.step for stream in found):
                raise Mismatch(f"a part has no {name} every {about.step} s; run `spr build` again")
            bases = bases_of(arrays) if parts else np.zeros(1, np.int64)
            where = places([s.starts for s in found], [s.counts for s in found], bases, ordinals, videos)
            made[name] = FeatureStream(joined(arrays), *where, about.step)
        if durations is None:
            durations = by_ordinal([part.durations for part in parts], ordinals)
        return FeatureMaps(made, durations)

    @staticmethod
    def from_feature_store(store: FeatureStore, ids: Sequence[str]) -> "FeatureMaps":
        """Gather the features of `ids` in memory; ordinal i is ids[i]. For training."""
        durations = np.array([store.record(video).duration for video in ids], np.float64)
        streams = {}
        for name, stream in store.streams.items():
            parts = [store.rows(video, name) for video in ids]
            rows = np.concatenate(parts) if parts else np.zeros((0, stream.dim), np.float32)
            streams[name] = FeatureStream.of(rows, [len(part) for part in parts], stream.step)
        return FeatureMaps(streams, durations)

    def __len__(self) -> int:
        return len(self.durations)

    def rows(self, stream: str) -> AnyRows:
        """All rows of a stream, (n, dim) in the store's dtype, deleted videos' too."""
        return self.streams[stream].rows

    def starts(self, stream: str) -> Counts:
        """First row of every video, (videos,)."""
        return self.streams[stream].starts

    def counts(self, stream: str) -> Counts:
        """How many rows every video has, (videos,)."""
        return self.streams[stream].counts

    def step(self, stream: str) -> float:
        """Seconds between two rows of a stream."""
        return self.streams[stream].step

    def arrays(self) -> list[NDArray[Any]]:
        """Everything that ranking reads of the features, part by part."""
        return [array for stream in self.streams.values() for array in arrays_of(stream.rows)]

    def video(self, ordinal: int, stream: str) -> NDArray[Any]:
        """Return the rows of one video: a view (n, dim)."""
        about = self.streams[stream]
        begin = int(about.starts[ordinal])
        return about.rows[begin : begin + int(about.counts[ordinal])]


def write_context(directory: Path, store: FeatureStore, ids: Sequence[str]) -> None:
    """Write the context files of `ids` into `directory`, number i = ids[i], one video in memory at a time.

    The caller renames the part into place, so nothing here is atomic; everything is synced.
    """
    directory.mkdir(parents=True, exist_ok=True)
    about = {}
    for name, stream in store.streams.items():
        counts = [len(store.rows(video, name)) for video in ids]
        dtype = store.rows(ids[0], name).dtype if ids else np.dtype(np.float32)
        rows = (store.rows(video, name) for video in ids)
        write_rows(directory / f"{name}.npy", sum(counts), rows, np.zeros((0, stream.dim), dtype))
        save(directory / f"{name}.offsets.npy", offsets_of(counts))
        about[name] = {**asdict(stream), "dtype": dtype.name}
    save(directory / "durations.npy", np.array([store.record(video).duration for video in ids], np.float64))
    write_json(directory / "streams.json", about)
