"""Whether a confidence means what it says. Pure functions on arrays, and the figures of a run.

A moment's confidence is the probability that it is right: that it overlaps a true moment of grade 2 or more
by an IoU of 0.5. A query's confidence is that of its best moment: the probability that anything good was
found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import InvalidInput
from engine.temporal import iou
from trainer.evaluation.measures import Ranking, Truth
from trainer.evaluation.runfile import Answers, rankings

Doubles = NDArray[np.float64]
Bools = NDArray[np.bool_]

BINS = 15
# A moment of this grade is a good answer, and one that overlaps it by this much has found it.
GOOD = 2.0
OVERLAP = 0.5
# Moments a query whose confidence is judged: those that are looked at.
DEPTH = 10


@dataclass(frozen=True, slots=True)
class Reliability:
    """Bins of about equal mass by rising confidence, all (bins,): how many, mean confidence, share right."""

    counts: NDArray[np.int64]
    confidence: Doubles
    right: Doubles

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of confidence and share right, by mass; 0..1."""
        total = int(self.counts.sum())
        gaps = np.abs(self.confidence - self.right)
        return float((self.counts * gaps).sum() / total) if total else 0.0


def reliability(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> Reliability:
    """Sort confidences (n,) 0..1 into bins of equal mass, beside whether each was right (n,).

    Equal confidences share a bin, so that the order of the input does not matter; fewer bins where they fill
    more than one. Raises InvalidInput for what is no probability.
    """
    values, hits = np.asarray(confidence, np.float64), np.asarray(right, np.float64)
    if len(values) and not (values.min() >= 0 and values.max() <= 1):
        raise InvalidInput(
            f"Confidence reaches from {values.min():g} to {values.max():g}; a probability is 0..1."
        )
    order = np.argsort(values, kind="stable")
    values, hits = values[order], hits[order]
    # The bin of the first of its equals.
    firsts = np.searchsorted(values, values, side="left")
    places = firsts * bins // max(len(values), 1)
    _, starts, counts = np.unique(places, return_index=True, return_counts=True)
    if not len(values):
        return Reliability(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    sums = (np.add.reduceat(column, starts) for column in (values, hits))
    mean, share = (total / counts for total in sums)
    return Reliability(counts.astype(np.int64), mean, share)


def expected_calibration_error(confidence: ArrayLike, right: ArrayLike, bins: int = BINS) -> float:
    """Return the mean distance between confidence and the share that is right, over equal-mass bins."""
    return reliability(confidence, right, bins).error


def brier(confidence: ArrayLike, right: ArrayLike) -> float:
    """Return the mean squared distance between confidence and truth; 0 without any."""
    gaps = np.asarray(confidence, np.float64) - np.asarray(right, np.float64)
    return float(np.mean(gaps**2)) if len(gaps) else 0.0


def auroc(scores: ArrayLike, positive: ArrayLike) -> float | None:
    """Return how often a positive scores above a negative, ties as half; None unless there are both.

    scores, positive: (n,).
    """
    values, marks = np.asarray(scores, np.float64), np.asarray(positive, np.bool_)
    negatives = np.sort(values[~marks])
    if not len(negatives) or not marks.any():
        return None
    below = np.searchsorted(negatives, values[marks], side="left")
    not_above = np.searchsorted(negatives, values[marks], side="right")
    return float((below + not_above).mean() / 2 / len(negatives))


def right_moments(ranking: Ranking, truth: Truth, good: float = GOOD, overlap: float = OVERLAP) -> Bools:
    """Return for each predicted moment whether it overlaps a good true moment of its video enough, (n,)."""
    rows = np.flatnonzero(truth.relevances >= good)
    if not len(rows) or not len(ranking):
        return np.zeros(len(ranking), bool)
    same = ranking.videos[:, None] == truth.videos[rows][None, :]
    return np.asarray((same & (iou(ranking.spans, truth.spans[rows]) >= overlap)).any(axis=1))


def confidence_figures(
    answers: Answers, truth: Mapping[int, Truth], bins: int = BINS, depth: int = DEPTH
) -> dict[str, Any] | None:
    """Return the figures of a stage whose first moments carry a confidence, None where one does not.

    {"moments", "right" (share), "confidence" (mean), "ECE", "Brier", "bins": {"counts", "confidence",
    "right"}, "no-answer": {"with", "without" (queries), "AUROC"}}. Of every judged query the first `depth`
    moments count; a query without moments has a confidence of 0. Queries with a good moment are told from
    those without.
    """
    judged = {query_id: rows for query_id, rows in answers.items() if query_id in truth}
    listed = [row.confidence for rows in judged.values() for row in rows[:depth]]
    if not listed or None in listed:
        return None
    columns = rankings({query_id: rows[:depth] for query_id, rows in judged.items()})
    right = np.concatenate([right_moments(columns[query_id], truth[query_id]) for query_id in judged])
    kept = [float(row.confidence or 0.0) for rows in judged.values() for row in rows[:depth]]
    best = [max((row.confidence or 0.0 for row in rows), default=0.0) for rows in judged.values()]
    answered = [bool((truth[query_id].relevances >= GOOD).any()) for query_id in judged]
    table = reliability(kept, right, bins)
    return {
        "moments": len(kept),
        "right": float(right.mean()),
        "confidence": float(np.mean(kept)),
        "ECE": table.error,
        "Brier": brier(kept, right),
        "bins": {
            "counts": table.counts.tolist(),
            "confidence": table.confidence.tolist(),
            "right": table.right.tolist(),
        },
        "no-answer": {
            "with": sum(answered),
            "without": len(answered) - sum(answered),
            "AUROC": auroc(best, answered),
        },
    }
