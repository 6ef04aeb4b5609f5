"""Calibration of confidences: reliability bins, ECE, Brier score, AUROC; of arrays, and of a run.

A moment's confidence is the probability that it is right (`judged.Right`): that it overlaps a true moment of
grade 2 or more by an IoU of 0.5. A query's confidence is that of its best moment: the probability that
anything good was found.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import InvalidInput
from trainer.evaluation.judged import RIGHT, Bools, Doubles, Ranking, Rankings, Right, Truth

BINS = 15


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


@dataclass(frozen=True, slots=True)
class Confident:
    """The confidences of the first moments of judged queries, and whether each is right, both (n,)."""

    confidence: Doubles
    right: Bools


def confident(run: Rankings, truth: Truth, right: Right = RIGHT) -> Confident | None:
    """Return the confidences of every judged query's first moments; None unless there are any, in all."""
    firsts = {query_id: run[query_id].first(right.depth) for query_id in run if query_id in truth}
    columns = [ranking.confidences for ranking in firsts.values() if len(ranking)]
    known = [column for column in columns if column is not None]
    if not known or len(known) < len(columns) or np.isnan(np.concatenate(known)).any():
        return None
    hits = [right.moments(ranking, truth[query_id]) for query_id, ranking in firsts.items()]
    return Confident(np.concatenate(known), np.concatenate(hits))


@dataclass(frozen=True, slots=True)
class Calibration:
    """Calibration of a stage. right: the share of moments that are; confidence: their mean confidence.

    answerable, unanswerable: queries with and without a good moment; auroc: how well a query's best
    confidence tells them apart, None without both.
    """

    moments: int
    right: float
    confidence: float
    ece: float
    brier: float
    bins: Reliability
    answerable: int
    unanswerable: int
    auroc: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the figures by the names that reports use."""
        return {
            "moments": self.moments,
            "right": self.right,
            "confidence": self.confidence,
            "ECE": self.ece,
            "Brier": self.brier,
            "bins": {name: column.tolist() for name, column in asdict(self.bins).items()},
            "no-answer": {"with": self.answerable, "without": self.unanswerable, "AUROC": self.auroc},
        }


def calibration(run: Rankings, truth: Truth, bins: int = BINS, right: Right = RIGHT) -> Calibration | None:
    """Measure a stage whose first moments carry a confidence; None where one does not.

    Of every judged query the first moments count. A query's confidence is that of its best moment; one
    without moments has 0.
    """
    found = confident(run, truth, right)
    if found is None:
        return None
    judged = [query_id for query_id in run if query_id in truth]
    best = [_best(run[query_id]) for query_id in judged]
    answered = [right.answerable(truth[query_id]) for query_id in judged]
    table = reliability(found.confidence, found.right, bins)
    return Calibration(
        moments=len(found.confidence),
        right=float(found.right.mean()),
        confidence=float(found.confidence.mean()),
        ece=table.error,
        brier=brier(found.confidence, found.right),
        bins=table,
        answerable=sum(answered),
        unanswerable=len(answered) - sum(answered),
        auroc=auroc(best, answered),
    )


def _best(ranking: Ranking) -> float:
    known = ranking.confidences
    return 0.0 if known is None or not len(known) else float(np.nan_to_num(known).max())
