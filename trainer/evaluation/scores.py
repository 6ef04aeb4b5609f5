"""Every figure of every query of one stage, as an array that means, intervals and slices are taken of."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.measures import (
    NDCGS,
    SPR,
    Absent,
    Protocol,
    Ranking,
    Truth,
    per_query,
    relative_video_recall,
)
from trainer.evaluation.moment_measures import (
    MEAN,
    PRECISION_AT,
    RECALL_AT,
    THRESHOLDS,
    average_precisions,
    first_iou,
)
from trainer.evaluation.resample import SAMPLES, bootstrap, means

Doubles = NDArray[np.float64]
DEPTHS = tuple(sorted({measure.k for measure in NDCGS}))
RANKED = tuple(map(str, NDCGS))
NAMES = (
    *RANKED,
    *(f"VideoRecall@{k}" for k in DEPTHS),
    *(f"R@1,IoU>={limit:g}" for limit in RECALL_AT),
    *(f"mAP,IoU>={limit:g}" for limit in PRECISION_AT),
    MEAN,
)
EMPTY = Ranking.of([], [])


@dataclass(frozen=True, slots=True)
class Scores:
    """names: of the columns. queries: (n,) ids. values: (n, len(names)), NaN where a query does not count."""

    names: tuple[str, ...]
    queries: NDArray[np.int64]
    values: Doubles

    def of(self, wanted: Collection[int]) -> "Scores":
        """Return the rows of some queries."""
        kept = np.isin(self.queries, np.fromiter(wanted, np.int64, len(wanted)))
        return Scores(self.names, self.queries[kept], self.values[kept])

    def means(self) -> dict[str, float]:
        """Return the mean of every figure over the queries that count."""
        return dict(zip(self.names, means(self.values).tolist(), strict=True))

    def intervals(self, seed: int = 0, samples: int = SAMPLES) -> dict[str, list[float]]:
        """Return the 95 % bootstrap interval of every NDCG."""
        columns = [column for column, name in enumerate(self.names) if name.startswith("NDCG")]
        low, high = bootstrap(self.values[:, columns], seed, samples)
        ends = np.stack([low, high], axis=1).tolist()
        return {self.names[column]: end for column, end in zip(columns, ends, strict=True)}


def scores_of(
    run: Mapping[int, Ranking],
    truth: Mapping[int, Truth],
    protocol: Protocol = SPR,
    absent: Absent = "zero",
) -> Scores:
    """Measure every judged query of a stage; what a protocol leaves out of its mean is NaN."""
    queries = np.fromiter(truth, np.int64, len(truth))
    values = np.full((len(queries), len(NAMES)), np.nan)
    ranked = per_query(run, truth, NDCGS, protocol, absent)
    for row, query_id in enumerate(queries.tolist()):
        judged = truth[query_id]
        if query_id in ranked:
            values[row, : len(NDCGS)] = ranked[query_id]
        if judged.answerable and (absent == "zero" or query_id in run):
            values[row, len(NDCGS) :] = _others(run.get(query_id, EMPTY), judged)
    return Scores(NAMES, queries, values)


def ndcg_scores(rows: Mapping[int, Doubles], truth: Mapping[int, Truth]) -> Scores:
    """Return NDCGs by query id, such as a ceiling's, as scores of all judged queries."""
    queries = np.fromiter(truth, np.int64, len(truth))
    missing = np.full(len(NDCGS), np.nan)
    values = np.array([rows.get(query_id, missing) for query_id in queries.tolist()], np.float64)
    return Scores(RANKED, queries, values.reshape(-1, len(NDCGS)))


def _others(ranking: Ranking, truth: Truth) -> Doubles:
    recalls = [relative_video_recall(ranking, truth, k) for k in DEPTHS]
    first = first_iou(ranking, truth)
    precisions = average_precisions(ranking, truth)
    chosen = [precisions[THRESHOLDS.index(limit)] for limit in PRECISION_AT]
    hits = [float(first >= limit) for limit in RECALL_AT]
    return np.array([*recalls, *hits, *chosen, precisions.mean()])
