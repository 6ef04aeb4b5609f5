"""Measures of single-video moment retrieval, as QVHighlights takes them (arXiv 2107.09609), beside NDCG.

    R@1,IoU>=0.5              share of queries whose first moment overlaps a relevant one by 0.5
    mAP,IoU>=0.5              mean over queries of the average precision of the first ten moments
    mAP,IoU>=0.5:0.05:0.95    its mean over ten thresholds

A prediction takes the relevant moment that it overlaps most among those not yet taken; what takes none is
wrong. Moments of other videos overlap nothing, and every grade above zero counts the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.temporal import iou
from trainer.evaluation.measures import Absent, Ranking, Truth

Doubles = NDArray[np.float64]

THRESHOLDS = tuple(np.round(np.linspace(0.5, 0.95, 10), 2).tolist())
RECALL_AT = (0.5, 0.7)
PRECISION_AT = (0.5, 0.75)
DEPTH = 10
MEAN = "mAP,IoU>=0.5:0.05:0.95"
EMPTY = Ranking.of([], [])


def moment_figures(
    run: Mapping[int, Ranking], truth: Mapping[int, Truth], absent: Absent = "zero"
) -> dict[str, float]:
    """Return every measure, the mean over the queries with a relevant moment, by its name."""
    counted = [
        (run.get(query_id, EMPTY), judged)
        for query_id, judged in truth.items()
        if judged.answerable and (absent == "zero" or query_id in run)
    ]
    firsts = np.array([first_iou(*pair) for pair in counted])
    precisions = np.array([average_precisions(*pair) for pair in counted]).reshape(-1, len(THRESHOLDS))
    figures = {f"R@1,IoU>={limit:g}": _mean(firsts >= limit) for limit in RECALL_AT}
    for limit in PRECISION_AT:
        figures[f"mAP,IoU>={limit:g}"] = _mean(precisions[:, THRESHOLDS.index(limit)])
    return figures | {MEAN: _mean(precisions)}


def first_iou(ranking: Ranking, truth: Truth) -> float:
    """Return the IoU of the first moment with the relevant one that it overlaps most; 0 without either."""
    overlap = _overlap(ranking, truth, 1)
    return float(overlap.max(initial=0.0))


def average_precisions(
    ranking: Ranking, truth: Truth, thresholds: Sequence[float] = THRESHOLDS, depth: int = DEPTH
) -> Doubles:
    """Return the average precision of the first `depth` moments at every threshold, (t,)."""
    overlap = _overlap(ranking, truth, depth)
    return np.array([_average_precision(_hits(overlap, limit), overlap.shape[1]) for limit in thresholds])


def _overlap(ranking: Ranking, truth: Truth, depth: int) -> Doubles:
    """Return the IoU of the first moments with the relevant ones of their video, (predictions, moments)."""
    relevant = truth.relevances > 0
    spans = ranking.spans[:depth]
    if not len(spans) or not relevant.any():
        return np.zeros((len(spans), int(relevant.sum())))
    same = ranking.videos[:depth, None] == truth.videos[relevant][None, :]
    return np.asarray(np.where(same, iou(spans, truth.spans[relevant]), 0.0))


def _hits(overlap: Doubles, limit: float) -> NDArray[np.bool_]:
    """Return which predictions take a moment, (n,)."""
    hits = np.zeros(len(overlap), bool)
    free = np.ones(overlap.shape[1], bool)
    for row in np.flatnonzero(overlap.max(axis=1, initial=0.0) >= limit):
        reached = np.where(free, overlap[row], -1.0)
        best = int(reached.argmax())
        hits[row] = reached[best] >= limit
        free[best] &= not hits[row]
    return hits


def _average_precision(hits: NDArray[np.bool_], moments: int) -> float:
    """Return the area under the precision envelope: at every hit, the best precision from there on."""
    if not moments or not len(hits):
        return 0.0
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(envelope[hits].sum() / moments)


def _mean(values: NDArray[Any]) -> float:
    return float(np.mean(values)) if values.size else 0.0
