"""What retrieval found: relevant segments among those that an index returned.

A segment is (video, number). Segments of a run without the stage "retrieval" are read off its coarse
proposals.
"""

import math
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from trainer.collection.segment_samples import SegmentSample
from trainer.evaluation.judged import EMPTY, Rankings, Truth
from trainer.evaluation.measures import Absent, VideoRecall
from trainer.evaluation.runfile import COARSE, RETRIEVAL, Predicted, Run, rankings

Segment = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Retrieved:
    """The retrieved segments of a run by query id, best first, and the relevant ones with their scores.

    found is None for a run that shows neither segments nor proposals.
    """

    found: Mapping[int, Sequence[Segment]] | None
    relevant: Mapping[int, Mapping[Segment, float]]
    rankings: Rankings

    @staticmethod
    def of(run: Run, samples: Mapping[int, Sequence[SegmentSample]], segment_length: float) -> "Retrieved":
        """Return what a run retrieved, beside the relevant segments of its queries."""
        relevant = {
            query_id: {(row.video, row.segment): row.score for row in rows if row.relevance}
            for query_id, rows in samples.items()
        }
        source = run.get(RETRIEVAL) or run.get(COARSE)
        if source is None:
            return Retrieved(None, relevant, {})
        found = {query_id: segments_of(rows, segment_length) for query_id, rows in source.items()}
        return Retrieved(found, relevant, rankings(source))

    def recalls(self, truth: Truth, absent: Absent = "zero") -> dict[str, float]:
        """Return the mean recalls of videos and segments over the answerable queries; {} without found."""
        if self.found is None:
            return {}
        names = ("VideoRecall", "SegmentRecall", "WeightedSegmentRecall")
        recalls: dict[str, list[float]] = {name: [] for name in names}
        for query_id, judged in truth.items():
            if not judged.answerable or (absent == "skip" and query_id not in self.found):
                continue
            found, wanted = self.found.get(query_id, []), self.relevant.get(query_id, {})
            ranking = self.rankings.get(query_id, EMPTY)
            recalls["VideoRecall"].append(VideoRecall().of(ranking, judged))
            if not wanted:  # Given segments may be none, though moments are relevant.
                continue
            recalls["SegmentRecall"].append(segment_recall(found, wanted.keys(), len(found)))
            recalls["WeightedSegmentRecall"].append(weighted_segment_recall(found, wanted, len(found)))
        return {name: sum(values) / len(values) if values else 0.0 for name, values in recalls.items()}


def segments_of(rows: Iterable[Predicted], segment_length: float) -> list[tuple[str, int]]:
    """Return the segments that moments on the segment grid are made of, moment by moment."""
    segments = []
    for row in rows:
        first = math.floor(row.start / segment_length + 1e-6)
        # A video's last segment ends with the video, so the end is rounded up.
        last = math.ceil(row.end / segment_length - 1e-6)
        segments += [(row.video, segment) for segment in range(first, last)]
    return segments


def segment_recall(retrieved: Sequence[tuple[Any, int]], relevant: Set[tuple[Any, int]], k: int) -> float:
    """Return the share of the relevant segments, as (video, segment), among the first k retrieved."""
    return len(relevant & set(retrieved[:k])) / len(relevant) if relevant else 0.0


def weighted_segment_recall(
    retrieved: Sequence[tuple[Any, int]], scores: Mapping[tuple[Any, int], float], k: int
) -> float:
    """Return the share of the relevant segments' scores that the first k retrieved segments hold."""
    # Exact sums: the order of a set is another in every process.
    total = math.fsum(scores.values())
    found = math.fsum(scores.get(segment, 0.0) for segment in set(retrieved[:k]))
    return found / total if total else 0.0
