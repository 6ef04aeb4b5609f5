"""Predicted moments matched with judged ones, and what that earns; on the arrays of one query.

`gains` and `ndcg` match as NDCG does: a prediction earns the relevance of the unused true moment of its video
that it overlaps most, if their IoU reaches the threshold; a true moment is earned once. Two protocols exist
and their figures do not compare:

    SPR           IoU >= threshold, moments of relevance 0 left out (arXiv 2501.05072)
    TVR_RANKING   IoU >  threshold, moments of relevance 0 stay and can absorb a prediction (arXiv 2407.06597)

`best_iou` and `average_precisions` match as QVHighlights does (arXiv 2107.09609): a prediction takes the
relevant moment that it overlaps most among those not yet taken; what takes none is wrong. Moments of other
videos overlap nothing, and every grade above zero counts the same.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.temporal import iou
from trainer.evaluation.judged import Bools, Doubles, Judgements, Ranking

THRESHOLDS = tuple(np.round(np.linspace(0.5, 0.95, 10), 2).tolist())
# Predictions a query that average precision reads.
DEPTH = 10


@dataclass(frozen=True, slots=True)
class Protocol:
    """When a prediction counts: strict IoU, and whether moments of relevance 0 are part of the truth."""

    name: str
    strict: bool
    keeps_irrelevant: bool


SPR = Protocol("spr", strict=False, keeps_irrelevant=False)
TVR_RANKING = Protocol("tvr-ranking", strict=True, keeps_irrelevant=True)
# Matches as SPR does; a report then has the figures of trainer/evaluation/generalised.py too.
GMR = Protocol("gmr", strict=False, keeps_irrelevant=False)
PROTOCOLS = {protocol.name: protocol for protocol in (SPR, TVR_RANKING, GMR)}


def gains(
    ranking: Ranking, judged: Judgements, thresholds: Sequence[float], protocol: Protocol = SPR
) -> tuple[Doubles, Doubles]:
    """Return what every prediction earns at every threshold (n, t), and the grades that count (g,)."""
    order = np.argsort(-judged.relevances, kind="stable")
    if not protocol.keeps_irrelevant:
        order = order[judged.relevances[order] > 0]
    grades = judged.relevances[order]
    earned = np.zeros((len(ranking), len(thresholds)))
    if not len(ranking) or not len(grades):
        return earned, grades
    overlap = iou(ranking.spans, judged.spans[order])
    overlap[ranking.videos[:, None] != judged.videos[order]] = -1.0
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


def _reached(overlap: Doubles, limit: Any, protocol: Protocol) -> Bools:
    return np.asarray(overlap > limit if protocol.strict else overlap >= limit)


def dcg(grades: Doubles) -> Doubles:
    """Return the discounted cumulative gain of the first axis: (n,) -> (), (n, t) -> (t,)."""
    return np.asarray(_discounts(len(grades)) @ (np.exp2(grades) - 1.0))


@functools.lru_cache(maxsize=256)
def _discounts(depth: int) -> Doubles:
    discounts: Doubles = 1.0 / np.log2(np.arange(2, depth + 2))
    return discounts


def best_iou(ranking: Ranking, judged: Judgements, k: int = 1) -> float:
    """Return the largest IoU of one of the first `k` moments with a relevant one; 0 without either."""
    return float(overlaps(ranking, judged, k).max(initial=0.0))


def average_precisions(
    ranking: Ranking, judged: Judgements, thresholds: Sequence[float] = THRESHOLDS, depth: int = DEPTH
) -> Doubles:
    """Return the average precision of the first `depth` moments at every threshold, (t,)."""
    overlap = overlaps(ranking, judged, depth)
    return np.array([_average_precision(hits_of(overlap, limit), overlap.shape[1]) for limit in thresholds])


def overlaps(ranking: Ranking, judged: Judgements, depth: int) -> Doubles:
    """Return the IoU of the first moments with the relevant ones of their video, (predictions, moments)."""
    relevant = judged.relevances > 0
    spans = ranking.spans[:depth]
    if not len(spans) or not relevant.any():
        return np.zeros((len(spans), int(relevant.sum())))
    same = ranking.videos[:depth, None] == judged.videos[relevant][None, :]
    return np.asarray(np.where(same, iou(spans, judged.spans[relevant]), 0.0))


def hits_of(overlap: Doubles, limit: float) -> Bools:
    """Return which predictions take a moment, (n,); overlap (n, moments) of their IoU."""
    hits = np.zeros(len(overlap), bool)
    free = np.ones(overlap.shape[1], bool)
    for row in np.flatnonzero(overlap.max(axis=1, initial=0.0) >= limit):
        reached = np.where(free, overlap[row], -1.0)
        best = int(reached.argmax())
        hits[row] = reached[best] >= limit
        free[best] &= not hits[row]
    return hits


def _average_precision(hits: Bools, moments: int) -> float:
    """Return the area under the precision envelope: at every hit, the best precision from there on."""
    if not moments or not len(hits):
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / moments)
