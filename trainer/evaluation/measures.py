"""How good a ranked list of moments is: measures as values, on arrays.

    NDCG(10, 0.5)                  prints "NDCG@10,IoU>=0.5" and is the key of every table and report
    evaluate(run, truths)          {"NDCG@10,IoU>=0.3": 0.41, ...}: the mean over the judged queries

A prediction earns the relevance of the unused true moment of its video that it overlaps most, if their IoU
reaches the threshold; a true moment is earned once. Two protocols exist and their figures do not compare:

    SPR           IoU >= threshold, moments of relevance 0 left out (arXiv 2501.05072)
    TVR_RANKING   IoU >  threshold, moments of relevance 0 stay and can absorb a prediction (arXiv 2407.06597)

A judged query without predictions counts as zero. `absent="skip"` leaves it out of the mean, as the published
figures do.
"""

import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import InvalidInput
from engine.temporal import iou
from trainer.collection.annotations import JudgedQuery

Doubles = NDArray[np.float64]
Names = NDArray[Any]
Absent = Literal["zero", "skip"]


@dataclass(frozen=True, slots=True)
class Protocol:
    """When a prediction counts: strict IoU, and whether moments of relevance 0 are part of the truth."""

    name: str
    strict: bool
    keeps_irrelevant: bool


SPR = Protocol("spr", strict=False, keeps_irrelevant=False)
TVR_RANKING = Protocol("tvr-ranking", strict=True, keeps_irrelevant=True)
PROTOCOLS = {protocol.name: protocol for protocol in (SPR, TVR_RANKING)}


@dataclass(frozen=True, slots=True, order=True)
class NDCG:
    """Normalised discounted cumulative gain of the first `k` moments that overlap a true one by `iou`."""

    k: int
    iou: float

    def __str__(self) -> str:
        return f"NDCG@{self.k},IoU>={self.iou:g}"

    @staticmethod
    def parse(text: str) -> "NDCG":
        """Return the measure that prints as `text`.

        >>> NDCG.parse("NDCG@10,IoU>=0.5")
        NDCG(k=10, iou=0.5)
        """
        match = re.fullmatch(r"NDCG@(\d+),IoU>=(\d*\.?\d+)", text.replace(" ", ""))
        if match is None:
            raise InvalidInput(f"{text!r} is no measure; write it like 'NDCG@10,IoU>=0.5'.")
        return NDCG(int(match[1]), float(match[2]))


NDCGS = tuple(NDCG(k, iou) for k in (10, 20, 40) for iou in (0.3, 0.5, 0.7))


@dataclass(frozen=True, slots=True)
class Ranking:
    """Predicted moments of one query, best first: videos (n,) names or ordinals, spans (n, 2) seconds."""

    videos: Names
    spans: Doubles

    @staticmethod
    def of(videos: Sequence[Any] | Names, spans: ArrayLike) -> "Ranking":
        """Return the ranking of two sequences of the same length; InvalidInput for a span not finite."""
        ends = np.asarray(spans, np.float64).reshape(-1, 2)
        if not np.isfinite(ends).all():
            raise InvalidInput("A predicted span is not finite; it is neither a right nor a wrong answer.")
        return Ranking(np.asarray(videos), ends)

    def __len__(self) -> int:
        return len(self.videos)


@dataclass(frozen=True, slots=True)
class Truth:
    """Judged moments of one query: videos (m,) as in Ranking, spans (m, 2) seconds, relevances (m,) 0..4."""

    videos: Names
    spans: Doubles
    relevances: Doubles

    @staticmethod
    def of(query: JudgedQuery) -> "Truth":
        """Return a query's moments as columns; raises InvalidInput where a moment carries no relevance."""
        grades = [moment.relevance for moment in query.moments]
        if None in grades:
            raise InvalidInput(
                f"Query {query.query_id} has moments without relevance; measure on a judged file."
            )
        spans = np.array([(moment.start, moment.end) for moment in query.moments], np.float64)
        videos = np.array([moment.video for moment in query.moments], str)
        return Truth(videos, spans.reshape(-1, 2), np.array(grades, np.float64))

    @property
    def relevant_videos(self) -> Names:
        """The distinct videos that hold a relevant moment, (v,)."""
        return np.unique(self.videos[self.relevances > 0])

    @property
    def answerable(self) -> bool:
        """Whether any moment is relevant."""
        return bool((self.relevances > 0).any())


def truths(queries: Iterable[JudgedQuery]) -> dict[int, Truth]:
    """Return the truth of every query by its id."""
    return {query.query_id: Truth.of(query) for query in queries}


def gains(
    ranking: Ranking, truth: Truth, thresholds: Sequence[float], protocol: Protocol = SPR
) -> tuple[Doubles, Doubles]:
    """Return what every prediction earns at every threshold (n, t), and the grades that count (g,)."""
    order = np.argsort(-truth.relevances, kind="stable")
    if not protocol.keeps_irrelevant:
        order = order[truth.relevances[order] > 0]
    grades = truth.relevances[order]
    earned = np.zeros((len(ranking), len(thresholds)))
    if not len(ranking) or not len(grades):
        return earned, grades
    overlap = iou(ranking.spans, truth.spans[order])
    overlap[ranking.videos[:, None] != truth.videos[order]] = -1.0
    rows, moments = np.nonzero(_reached(overlap, min(thresholds), protocol))
    shares = overlap[rows, moments]
    turn = np.lexsort((moments, -shares, rows))
    rows, moments, shares = rows[turn], moments[turn], shares[turn]
    for column, limit in enumerate(thresholds):
        there = _reached(shares, limit, protocol)
        takers, taken = _pairs(rows[there].tolist(), moments[there].tolist())
        earned[takers, column] = grades[taken]
    return earned, grades


def _pairs(rows: list[int], moments: list[int]) -> tuple[list[int], list[int]]:
    """Give every row, in order, its first moment that no earlier row was given; return both sides.

    What a row may take depends on what those before it took, so this is a loop; few pairs overlap enough.
    """
    takers: list[int] = []
    taken: dict[int, None] = {}
    last = -1
    for row, moment in zip(rows, moments, strict=True):
        if row != last and moment not in taken:
            taken[moment] = None
            takers.append(row)
            last = row
    return takers, list(taken)


def _reached(overlap: Doubles, limit: Any, protocol: Protocol) -> NDArray[np.bool_]:
    return np.asarray(overlap > limit if protocol.strict else overlap >= limit)


def dcg(grades: Doubles) -> Doubles:
    """Return the discounted cumulative gain of the first axis: (n,) -> (), (n, t) -> (t,)."""
    return np.asarray(_discounts(len(grades)) @ (np.exp2(grades) - 1.0))


@functools.lru_cache(maxsize=256)
def _discounts(depth: int) -> Doubles:
    discounts: Doubles = 1.0 / np.log2(np.arange(2, depth + 2))
    return discounts


def ndcg(
    ranking: Ranking, truth: Truth, measures: Sequence[NDCG] = NDCGS, protocol: Protocol = SPR
) -> Doubles:
    """Return every measure of one query, (len(measures),); zeros for a query without a relevant moment."""
    thresholds = sorted({measure.iou for measure in measures})
    deepest = max(measure.k for measure in measures)
    short = Ranking(ranking.videos[:deepest], ranking.spans[:deepest])
    earned, grades = gains(short, truth, thresholds, protocol)
    columns = {threshold: column for column, threshold in enumerate(thresholds)}
    gained = {k: dcg(earned[:k]).tolist() for k in {measure.k for measure in measures}}
    ideal = {k: float(dcg(grades[:k])) for k in gained}
    return np.array([gained[m.k][columns[m.iou]] / ideal[m.k] if ideal[m.k] else 0.0 for m in measures])


def per_query(
    run: Mapping[int, Ranking],
    truth: Mapping[int, Truth],
    measures: Sequence[NDCG] = NDCGS,
    protocol: Protocol = SPR,
    absent: Absent = "zero",
) -> dict[int, Doubles]:
    """Return the measures of every query that counts, by query id.

    Queries without a relevant moment are left out by SPR and zero in TVR_RANKING; queries missing from the
    run are zero, or left out with absent="skip".
    """
    empty = Ranking.of([], [])
    counted = {
        query_id: judged
        for query_id, judged in truth.items()
        if (judged.answerable or protocol.keeps_irrelevant) and (absent == "zero" or query_id in run)
    }
    return {
        query_id: ndcg(run.get(query_id, empty), counted[query_id], measures, protocol)
        for query_id in counted
    }


def evaluate(
    run: Mapping[int, Ranking],
    truth: Mapping[int, Truth],
    measures: Sequence[NDCG] = NDCGS,
    protocol: Protocol = SPR,
    absent: Absent = "zero",
) -> dict[str, float]:
    """Return the mean of every measure over the queries that count, by its name; 0 where none counts."""
    rows = list(per_query(run, truth, measures, protocol, absent).values())
    means = np.mean(rows, axis=0) if rows else np.zeros(len(measures))
    return {str(measure): float(mean) for measure, mean in zip(measures, means, strict=True)}


def video_recall(ranking: Ranking, truth: Truth, k: int | None = None) -> float:
    """Return the share of the relevant videos found among the first k predictions (None: all of them)."""
    wanted = truth.relevant_videos
    return float(np.isin(wanted, ranking.videos[:k]).mean()) if len(wanted) else 0.0


def relative_video_recall(ranking: Ranking, truth: Truth, k: int) -> float:
    """Return the relevant videos among the first k predictions, over the most that k could hold."""
    wanted = truth.relevant_videos
    return float(np.isin(wanted, ranking.videos[:k]).sum() / min(k, len(wanted))) if len(wanted) else 0.0


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
