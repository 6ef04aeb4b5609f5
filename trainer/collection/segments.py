"""Segment vectors of videos, the same for training, build, evaluation and export; and the videos' shards."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch
from engine.types import Doubles, Floats, Ordinals
from trainer.collection.places import FRAMES
from workers.feature_store.store import FeatureStore
from workers.ranker.model.side_by_side import in_turn
from workers.ranker.projection.projector import ClipPool, MeanPool, Projector
from workers.ranker.projection.segments import segment_rows, video_rows
from workers.ranker.stores.features import SUBTITLES, FeatureMaps

BATCH = 1024


@dataclass(frozen=True, slots=True)
class VideoRows:
    """Feature rows of some videos, read one video and stream at a time.

    ids: (n,) names, for messages. frames: (n,) how many each video has. durations: (n,) seconds. streams: by
    name (width, seconds a row). read: takes video number and stream, returns rows (m, width).
    """

    ids: Sequence[str]
    frames: NDArray[np.int64]
    durations: Doubles
    streams: Mapping[str, tuple[int, float]]
    read: Callable[[int, str], NDArray[Any]]

    @staticmethod
    def of_store(store: FeatureStore, ids: Sequence[str]) -> "VideoRows":
        """Return the rows of videos `ids` of a feature store, in that order."""
        records = [store.record(video) for video in ids]
        return VideoRows(
            ids,
            np.array([record.streams[FRAMES][1] for record in records], np.int64),
            np.array([record.duration for record in records], np.float64),
            {name: (stream.dim, stream.step) for name, stream in store.streams.items()},
            lambda number, stream: store.rows(ids[number], stream),
        )

    @staticmethod
    def of_contexts(contexts: FeatureMaps) -> "VideoRows":
        """Return the rows of all videos of a version or of a split in memory, in ordinal order."""
        return VideoRows(
            [f"video {ordinal}" for ordinal in range(len(contexts))],
            contexts.counts(FRAMES),
            contexts.durations,
            {name: (stream.dim, stream.step) for name, stream in contexts.streams.items()},
            contexts.video,
        )

    def __len__(self) -> int:
        return len(self.ids)

    def segment_counts(self, segment_length: int) -> Ordinals:
        """Return (n,) how many segments of `segment_length` frames each video has; the last may be short."""
        return np.asarray(-(-self.frames // segment_length), np.int32)

    def speech(self) -> Iterator[NDArray[Any]]:
        """Yield every video's subtitle rows (m, dim); nothing where these do not compare with frames."""
        if self.streams.get(SUBTITLES) == self.streams[FRAMES]:
            yield from (self.read(number, SUBTITLES) for number in range(len(self)))


def check_streams(store: FeatureStore, streams: Sequence[str]) -> None:
    """Raise InvalidInput where a projector cannot read `streams` of the store side by side."""
    for name in streams:
        if store.streams.get(name) != store.streams[FRAMES]:
            raise InvalidInput(
                f"{store.path} has no stream {name!r} as wide and as dense as its frames; "
                "train a projector with --set model.subtitles=false."
            )


def deal(counts: Ordinals, shards: int) -> Ordinals:
    """Return (n,) the shard of each video: in their order, each to the shard with the fewest segments.

    >>> deal(np.array([5, 1, 1, 4], np.int32), 2).tolist()
    [0, 1, 1, 1]
    """
    loads = np.zeros(shards, np.int64)
    dealt = np.zeros(len(counts), np.int32)
    for video, count in enumerate(counts):
        dealt[video] = shard = int(loads.argmin())
        loads[shard] += count
    return dealt


def embed(rows: VideoRows, projector: Projector | MeanPool, device: torch.device) -> Iterator[Floats]:
    """Yield the unit vectors (m, dim) float32 of all segments, in (video, segment) order.

    Without a trained projector what is said counts as well as what is seen. Raises Mismatch, with the video's
    name, for a vector that is not finite.
    """
    yield from embed_as_told(rows, hearing(projector, rows), device)


def hearing(projector: Projector | MeanPool, rows: VideoRows) -> Projector | MeanPool:
    """Return the projector for these videos: a mean pool that has heard what they say, any other as it is."""
    if not isinstance(projector, MeanPool) or isinstance(projector, ClipPool) or projector.said is not None:
        return projector
    if rows.streams.get(SUBTITLES) != rows.streams[FRAMES]:
        return projector
    heard = projector.hearing(rows.speech())
    if heard.said is not None:
        return heard
    # Where nobody has spoken yet, a later video may.
    return MeanPool(projector.segment_length, torch.zeros(rows.streams[FRAMES][0]))


def embed_as_told(rows: VideoRows, projector: Projector | MeanPool, device: torch.device) -> Iterator[Floats]:
    """Yield vectors as `embed`, by the projector as it is.

    A video's vectors do not depend on which others are embedded, bit by bit: see `in_turn`.
    """
    yield from in_turn(partial(_embed, projector.to(device), device), _batches(rows, projector), device)


def _embed(projector: Projector | MeanPool, device: torch.device, batch: tuple[str, torch.Tensor]) -> Floats:
    name, inputs = batch
    with torch.inference_mode():
        projected = projector.segments(inputs.to(device)).float().cpu().numpy()
    if not np.isfinite(projected).all():
        message = f"a segment of {name} has a vector that is not finite: "
        raise Mismatch(message + "train the projector again, or give --projector none.")
    lengths = np.linalg.norm(projected, axis=1, keepdims=True)
    return np.asarray(projected / np.maximum(lengths, 1e-12), np.float32)


def _batches(rows: VideoRows, projector: Projector | MeanPool) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield (video, inputs (m, frames a segment, width)) of at most BATCH segments of one video."""
    for video, name in enumerate(rows.ids):
        features = video_rows(projector.streams, partial(rows.read, video))
        # A clip encoder has made of every segment one row.
        each = 1 if isinstance(projector, ClipPool) else projector.segment_length
        numbers = segment_rows(len(features), each, projector.around)
        for start in range(0, len(numbers), BATCH):
            inputs = features[numbers[start : start + BATCH]].astype(np.float32)
            yield name, torch.from_numpy(inputs)
