"""Training pairs and validation truth as columns, and the frames of a split in one array."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.errors import InvalidInput, NotFound
from trainer.collection.annotations import JudgedQuery
from trainer.collection.places import FRAMES
from trainer.collection.segment_samples import SegmentSample, segment_samples
from trainer.collection.segments import check_streams
from trainer.projector.recall import RelevantSegments
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.segments import segment_rows, video_rows

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Segments:
    """The segments of several videos, numbered through.

    frames: (rows, width) of all videos end to end, in the store's dtype. rows: (segments, frames read) row
    numbers. videos: (segments,) video number. first: {video: (its first segment, how many)}.
    """

    frames: NDArray[np.floating[Any]]
    rows: Integers
    videos: Integers
    first: dict[str, tuple[int, int]]

    def __len__(self) -> int:
        return len(self.rows)

    def inputs(self, numbers: Integers | slice, device: torch.device) -> torch.Tensor:
        """Return (n, frames read, width) float32 inputs of the projector."""
        return torch.from_numpy(self.frames[self.rows[numbers]]).to(device).float()


@dataclass(frozen=True)
class SegmentPairs:
    """(query, segment) pairs as columns, ordered by `query * segments + segment`; no pair appears twice.

    query: (n,) query row. segment: (n,) segment number, below `segments`. score: (n,) above zero. relevance:
    (n,) 0 where unjudged.
    """

    query: Integers
    segment: Integers
    score: NDArray[np.float64]
    relevance: NDArray[np.float64]
    segments: int

    def __len__(self) -> int:
        return len(self.query)

    @cached_property
    def _keys(self) -> Integers:
        """Return one ascending number a pair."""
        return self.query * self.segments + self.segment

    def score_matrix(self, rows: Integers) -> NDArray[np.float32]:
        """Return (n, n): the score of each of `rows`' queries with each of their segments, or 0."""
        wanted = self.query[rows][:, None] * self.segments + self.segment[rows][None, :]
        found = np.minimum(np.searchsorted(self._keys, wanted), len(self) - 1)
        return np.where(self._keys[found] == wanted, self.score[found], 0.0).astype(np.float32)


def load_segments(
    store: FeatureStore,
    videos: Sequence[str],
    segment_length: int,
    streams: Sequence[str] = (FRAMES,),
    around: int = 0,
) -> Segments:
    """Read the rows of `videos`, in that order, into one array: `streams` side by side."""
    step = store.streams[FRAMES].step
    if step != 1.0:
        raise InvalidInput(f"{store.path} has a frame every {step} s; projectors are made for one a second.")
    check_streams(store, streams)
    arrays = [video_rows(streams, partial(store.rows, video)) for video in videos]
    per_video = [segment_rows(len(array), segment_length, around) for array in arrays]
    starts = np.cumsum([0, *map(len, arrays)])
    counts = np.array([len(rows) for rows in per_video], np.int64)
    firsts = np.cumsum(counts) - counts
    return Segments(
        frames=np.concatenate(arrays),
        rows=np.concatenate([rows + start for rows, start in zip(per_video, starts[:-1], strict=True)]),
        videos=np.repeat(np.arange(len(videos)), counts),
        first={video: (int(f), int(n)) for video, f, n in zip(videos, firsts, counts, strict=True)},
    )


def pairs_of(
    queries: Sequence[JudgedQuery], segments: Segments, segment_length: int, threshold: float = 0.0
) -> SegmentPairs:
    """Return the pairs that follow from a split's moments, with a score of at least `threshold`."""
    return pairs_from(segment_samples(queries, segment_length), segments, threshold)


def pairs_from(
    queries: Sequence[Sequence[SegmentSample]], segments: Segments, threshold: float = 0.0
) -> SegmentPairs:
    """Return the pairs of the segments of every query, with a score of at least `threshold`.

    Videos without features, and segments past a video's last frame, are left out.
    """
    columns: list[tuple[int, int, float, float]] = []
    for row, samples in enumerate(queries):
        for video, index, score, relevance in samples:
            first, count = segments.first.get(video, (0, 0))
            if index < count and score >= threshold:
                columns.append((row, first + index, score, 0.0 if relevance is None else relevance))
    columns.sort()
    table = np.array(columns, np.float64).reshape(-1, 4)
    query, segment = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return SegmentPairs(query, segment, table[:, 2], table[:, 3], len(segments))


def truth_of(pairs: SegmentPairs, segments: Segments, queries: int) -> RelevantSegments:
    """Return the relevant pairs (relevance above zero) of a judged split."""
    kept = pairs.relevance > 0
    if not kept.any():
        raise NotFound(
            "No validation query has a relevant moment in the videos with features; ingest its videos."
        )
    return RelevantSegments(
        pairs.query[kept], pairs.segment[kept], pairs.score[kept], segments.videos, queries
    )
