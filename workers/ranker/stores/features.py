"""What the ranker reads: the features of every video of a collection, by catalogue ordinal.

    context/streams.json            {"frames": {"dim", "step", "dtype"}, "subtitles": ...}
    context/durations.npy           float64 (videos,)
    context/<stream>.npy            (rows, dim), all videos one after the other in ordinal order
    context/<stream>.offsets.npy    int64 (videos + 1,): video v owns rows [offsets[v], offsets[v + 1])

The files are memory-mapped: opening a collection of any size costs nothing, and a window is a slice.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import Mismatch, NotFound
from engine.files import read_json, sync, write_json
from workers.feature_store.store import FeatureStore

FRAMES = "frames"
SUBTITLES = "subtitles"
DIRECTORY = "context"


@dataclass(frozen=True, slots=True)
class FeatureStream:
    """One feature stream: rows (n, dim) float16 or float32, offsets (videos + 1,) int64, step in seconds."""

    rows: NDArray[Any]
    offsets: NDArray[np.int64]
    step: float

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
    def open(generation: Path) -> "FeatureMaps":
        """Map the context files of a generation; raise NotFound or Mismatch when they are not whole."""
        directory = generation / DIRECTORY
        if not (directory / "streams.json").is_file():
            raise NotFound(f"{directory} holds no ranker features; build the generation again")
        durations = np.load(directory / "durations.npy")
        streams = {}
        for name, about in read_json(directory / "streams.json").items():
            rows = np.load(directory / f"{name}.npy", mmap_mode="r")
            offsets = np.load(directory / f"{name}.offsets.npy")
            whole = len(offsets) == len(durations) + 1 and offsets[-1] == len(rows)
            if not whole or rows.shape[1] != about["dim"]:
                raise Mismatch(f"{directory / name}.npy does not fit its offsets; build the generation again")
            streams[name] = FeatureStream(rows, offsets, float(about["step"]))
        return FeatureMaps(streams, durations)

    @staticmethod
    def from_feature_store(store: FeatureStore, ids: Sequence[str]) -> "FeatureMaps":
        """Gather the features of `ids` in memory; ordinal i is ids[i]. For training."""
        durations = np.array([store.record(video).duration for video in ids], np.float64)
        streams = {}
        for name, stream in store.streams.items():
            parts = [store.rows(video, name) for video in ids]
            rows = np.concatenate(parts) if parts else np.zeros((0, stream.dim), np.float32)
            streams[name] = FeatureStream(rows, _offsets([len(part) for part in parts]), stream.step)
        return FeatureMaps(streams, durations)

    def __len__(self) -> int:
        return len(self.durations)

    def rows(self, stream: str) -> NDArray[Any]:
        """All rows of a stream, (n, dim) in the store's dtype."""
        return self.streams[stream].rows

    def offsets(self, stream: str) -> NDArray[np.int64]:
        """First row of every video and the end, (videos + 1,)."""
        return self.streams[stream].offsets

    def step(self, stream: str) -> float:
        """Seconds between two rows of a stream."""
        return self.streams[stream].step

    def video(self, ordinal: int, stream: str) -> NDArray[Any]:
        """Return the rows of one video: a view (n, dim)."""
        about = self.streams[stream]
        return about.rows[about.offsets[ordinal] : about.offsets[ordinal + 1]]


def write_context(directory: Path, store: FeatureStore, ids: Sequence[str]) -> None:
    """Write the context files of `ids` into `directory`, ordinal i = ids[i], one video in memory at a time.

    The caller renames the generation into place, so nothing here is atomic; everything is synced.
    """
    directory.mkdir(parents=True, exist_ok=True)
    about = {}
    for name, stream in store.streams.items():
        offsets = _offsets([len(store.rows(video, name)) for video in ids])
        dtype = store.rows(ids[0], name).dtype if ids else np.dtype(np.float32)
        path = directory / f"{name}.npy"
        _write_rows(path, store, ids, name, (int(offsets[-1]), stream.dim), dtype)
        _save(directory / f"{name}.offsets.npy", offsets)
        about[name] = {**asdict(stream), "dtype": dtype.name}
    _save(directory / "durations.npy", np.array([store.record(video).duration for video in ids], np.float64))
    write_json(directory / "streams.json", about)


def _write_rows(
    path: Path,
    store: FeatureStore,
    ids: Sequence[str],
    stream: str,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
) -> None:
    # Appended to a plain file: a memory map of length 0 is not allowed, an empty .npy file is.
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        )
        for video in ids:
            file.write(np.ascontiguousarray(store.rows(video, stream)).tobytes())
    sync(path)


def _save(path: Path, array: NDArray[Any]) -> None:
    np.save(path, array)
    sync(path)


def _offsets(counts: Sequence[int]) -> NDArray[np.int64]:
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return offsets
