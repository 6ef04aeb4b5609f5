"""The published way where it is a loop over Python objects: proposals hit by hit, NDCG measure by measure.

Written after what the published code does (arXiv 2501.05072), to be timed beside our columns and to check
that both say the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class LoopMoment:
    """A moment as one object."""

    video: str
    start: float
    end: float
    rank: int = 0
    relevance: float = 0.0


def proposals(hits: Sequence[dict[str, Any]], durations: dict[str, float], length: float) -> list[LoopMoment]:
    """Join adjacent hits, each {"video", "segment", "score"}, best first; return moments by best rank."""
    by_video: dict[str, list[tuple[int, int]]] = {}
    for rank, hit in enumerate(hits):
        by_video.setdefault(hit["video"], []).append((int(hit["segment"]), rank))
    moments: list[LoopMoment] = []
    for video, segments in by_video.items():
        segments.sort()
        first, rank = segments[0]
        last = first
        for segment, other in segments[1:]:
            if segment <= last + 1:
                last, rank = segment, min(rank, other)
                continue
            moments.append(_moment(video, first, last, rank, durations, length))
            first, last, rank = segment, segment, other
        moments.append(_moment(video, first, last, rank, durations, length))
    return sorted((moment for moment in moments if moment.end > moment.start), key=lambda m: m.rank)


def ndcg(
    predicted: Sequence[LoopMoment],
    true: Sequence[LoopMoment],
    depths: Sequence[int],
    limits: Sequence[float],
) -> list[float]:
    """Return NDCG at every depth and IoU limit, each worked out from the beginning."""
    return [_ndcg(predicted[:depth], true, depth, limit) for depth in depths for limit in limits]


def _moment(
    video: str, first: int, last: int, rank: int, durations: dict[str, float], length: float
) -> LoopMoment:
    return LoopMoment(video, first * length, min((last + 1) * length, durations[video]), rank)


def _ndcg(predicted: Sequence[LoopMoment], true: Sequence[LoopMoment], depth: int, limit: float) -> float:
    left = sorted((moment for moment in true if moment.relevance > 0), key=lambda m: -m.relevance)
    ideal = sum((2**moment.relevance - 1) / math.log2(i + 2) for i, moment in enumerate(left[:depth]))
    earned = 0.0
    for rank, moment in enumerate(predicted):
        best, found = -1.0, -1
        for i, other in enumerate(left):
            share = _iou(moment, other) if other.video == moment.video else -1.0
            if share > best:
                best, found = share, i
        if found >= 0 and best >= limit:
            earned += (2 ** left.pop(found).relevance - 1) / math.log2(rank + 2)
    return earned / ideal if ideal else 0.0


def _iou(one: LoopMoment, other: LoopMoment) -> float:
    shared = max(0.0, min(one.end, other.end) - max(one.start, other.start))
    union = (one.end - one.start) + (other.end - other.start) - shared
    return shared / union if union > 0 else 0.0
