"""Queries with no, one or several moments: rejection, and whole sets of moments (arXiv 2605.02623, "GMR").

A query's existence score says how sure the answer is that there is a moment: what a file gives, else the
largest confidence of its moments, else their largest score. Every query counts for these:

    AUROC          how often a query with a moment scores above one without
    Rej-F1@t       F1 of rejecting the queries without, where a score of t or less rejects
    G-mIoU@k       the sum of IoU over the size of the larger set: the first k moments, or the true ones; a
                   score of 0.4 or less empties the first; two empty sets make 1

and queries with moments, several for mR+, for these, each a mean over IoU 0.5, 0.55, ... 0.95:

    mR@k           share of the moments that the first k match, one each
    mR+@k          the same of the moments beyond the first

As in the published evaluator a prediction takes the free moment that it overlaps most, for G-mIoU also one
that it does not touch. True moments are those of grade 2 or more, as for confidence.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trainer.evaluation.calibration import auroc
from trainer.evaluation.judged import EMPTY, RIGHT, Bools, Doubles, Judgements, Ranking, Truth
from trainer.evaluation.matching import THRESHOLDS, hits_of, overlaps
from trainer.evaluation.runfile import Answers, rankings
from trainer.evaluation.scores import Scores

DEPTHS = (1, 3, 5)
THRESHOLDS_OF_REJECTION = (0.4, 0.6)
GATE = 0.4
_NAMES = tuple(f"{measure}@{k}" for measure in ("mR", "mR+", "G-mIoU") for k in DEPTHS)


@dataclass(frozen=True, slots=True)
class Generalised:
    """A stage's figures by query. sure: (queries,) existence scores. real: (queries,) whether any is true."""

    scores: Scores
    sure: Doubles
    real: Bools

    @staticmethod
    def of(answers: Answers, truth: Truth, existence: Mapping[int, float] | None = None) -> "Generalised":
        """Measure every judged query; one that is not answered has no moments and a score of 0."""
        known = _existence(answers) | dict(existence or {})
        columns = rankings(answers)
        sure = np.array([known.get(query_id, 0.0) for query_id in truth], np.float64)
        good = [_good(judged) for judged in truth.values()]
        rows = [
            _row(columns.get(query_id, EMPTY), judged, score > GATE)
            for query_id, judged, score in zip(truth, good, sure.tolist(), strict=True)
        ]
        values = np.array(rows, np.float64).reshape(-1, len(_NAMES))
        scores = Scores(_NAMES, np.fromiter(truth, np.int64, len(truth)), values)
        return Generalised(scores, sure, np.array([len(judged.videos) > 0 for judged in good], bool))

    def figures(self, some: Truth) -> dict[str, float]:
        """Return the figures of some queries: those that any of them counts for, AUROC where two kinds do."""
        kept = np.isin(self.scores.queries, np.fromiter(some, np.int64, len(some)))
        sure, real = self.sure[kept], self.real[kept]
        area = auroc(sure, real)
        found = {} if area is None else {"AUROC": area}
        for limit in THRESHOLDS_OF_REJECTION:
            found[f"Rej-F1@{limit:g}"] = rejection(sure, real, limit)
        own = self.scores.of(some)
        counted: Bools = np.asarray(np.isfinite(own.values).any(axis=0))
        return found | {name: mean for at, (name, mean) in enumerate(own.means().items()) if counted[at]}


def rejection(sure: Doubles, real: Bools, limit: float) -> float:
    """Return the F1 of rejecting, at a score of `limit` or less, what has no moment; 0 where nothing is."""
    rejected = sure <= limit
    right = int((rejected & ~real).sum())
    total = int(rejected.sum()) + int((~real).sum())
    return 2 * right / total if total else 0.0


def _existence(answers: Answers) -> dict[int, float]:
    """Return the largest confidence of every answer, or score where no answer carries any; 0 for neither."""
    confident = any(row.confidence is not None for rows in answers.values() for row in rows)
    return {
        query_id: max((row.confidence if confident else row.score) or 0.0 for row in rows) if rows else 0.0
        for query_id, rows in answers.items()
    }


def _good(judged: Judgements) -> Judgements:
    kept = judged.relevances >= RIGHT.grade
    return Judgements(judged.videos[kept], judged.spans[kept], judged.relevances[kept])


def _row(ranking: Ranking, judged: Judgements, accepted: bool) -> list[float]:
    """Return the figures of one query in the order of their names; NaN where it does not count."""
    overlap = overlaps(ranking, judged, max(DEPTHS))
    count = len(judged.videos)
    recall, beyond = [np.nan] * len(DEPTHS), [np.nan] * len(DEPTHS)
    if count:
        hits = np.array([hits_of(overlap, limit) for limit in THRESHOLDS])
        taken = np.array([hits[:, :k].sum(axis=1) for k in DEPTHS])
        recall = (taken / count).mean(axis=1).tolist()
        if count > 1:
            beyond = (np.maximum(taken - 1, 0) / (count - 1)).mean(axis=1).tolist()
    return [*recall, *beyond, *(_set_iou(overlap[: k * accepted]) for k in DEPTHS)]


def _set_iou(overlap: Doubles) -> float:
    """Return the IoU of two sets; overlap (predictions, moments)."""
    if not all(overlap.shape):
        return float(not any(overlap.shape))
    free = np.ones(overlap.shape[1], bool)
    total = 0.0
    for row in overlap[: len(free)]:
        best = int(np.where(free, row, -1.0).argmax())
        total += float(row[best])
        free[best] = False
    return total / float(max(overlap.shape))
