"""From the moments of judged queries to scored (query, segment) pairs."""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from trainer.collection.annotations import JudgedMoment, JudgedQuery


class SegmentSample(NamedTuple):
    """A segment that meets a query's moments: score 0..1, relevance of the best moment it meets or None."""

    video: str
    segment: int
    score: float
    relevance: float | None


def segment_samples(queries: Sequence[JudgedQuery], segment_length: float) -> list[list[SegmentSample]]:
    """Return, per query, the segments its moments touch, sorted by video and segment.

    Segment i of a video covers `[i * segment_length, (i + 1) * segment_length)` seconds. Its score is the
    moment's similarity times the covered share of the segment, its relevance the moment's; the largest where
    several moments meet it.
    Segments whose score is not positive are left out.
    """
    return [_segments_of(query.moments, segment_length) for query in queries]


def _segments_of(moments: Iterable[JudgedMoment], length: float) -> list[SegmentSample]:
    best: dict[tuple[str, int], SegmentSample] = {}
    for moment in moments:
        for index in range(int(moment.start // length), math.ceil(moment.end / length)):
            covered = min(moment.end, (index + 1) * length) - max(moment.start, index * length)
            score = moment.similarity * covered / length
            if score <= 0:
                continue
            key = (moment.video, index)
            known = best.get(key)
            relevance = _larger(known.relevance if known else None, moment.relevance)
            best[key] = SegmentSample(*key, max(score, known.score if known else 0.0), relevance)
    return [best[key] for key in sorted(best)]


def _larger(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return other if one is None else one
    return max(one, other)
