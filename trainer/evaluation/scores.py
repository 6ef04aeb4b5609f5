"""Every figure of every query of one stage, as an array that means, intervals and slices are taken of."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.judged import EMPTY, Doubles, Judgements, Ranking, Rankings, Truth
from trainer.evaluation.matching import SPR, Protocol
from trainer.evaluation.measures import FIGURES, NDCG, NDCGS, Absent, Measure, PerQuery, ndcg
from trainer.evaluation.resample import SAMPLES, bootstrap, means

RANKED = tuple(map(str, NDCGS))


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
    run: Rankings,
    truth: Truth,
    protocol: Protocol = SPR,
    absent: Absent = "zero",
    measures: Sequence[PerQuery] = FIGURES,
) -> Scores:
    """Measure every judged query of a stage; what a measure leaves out of its mean is NaN."""
    queries = np.fromiter(truth, np.int64, len(truth))
    values = np.full((len(queries), len(measures)), np.nan)
    for row, query_id in enumerate(queries.tolist()):
        judged = truth[query_id]
        if absent == "zero" or query_id in run:
            counted = [measure.counts(judged, protocol) for measure in measures]
            some = [measure for measure, counts in zip(measures, counted, strict=True) if counts]
            values[row, counted] = _values(run.get(query_id, EMPTY), judged, some, protocol)
    return Scores(tuple(map(str, measures)), queries, values)


def evaluate(
    run: Rankings,
    truth: Truth,
    measures: Sequence[Measure] = NDCGS,
    protocol: Protocol = SPR,
    absent: Absent = "zero",
) -> dict[str, float]:
    """Return the figure of every measure by its name: means over the queries that count, 0 without any."""
    found = scores_of(run, truth, protocol, absent, [m for m in measures if isinstance(m, PerQuery)]).means()
    others = [measure for measure in measures if not isinstance(measure, PerQuery)]
    found |= {str(measure): measure.over(run, truth, protocol, absent) for measure in others}
    return {str(measure): found[str(measure)] for measure in measures}


def ndcg_scores(rows: Mapping[int, Doubles], truth: Truth) -> Scores:
    """Return NDCGs by query id, such as a ceiling's, as scores of all judged queries."""
    queries = np.fromiter(truth, np.int64, len(truth))
    missing = np.full(len(NDCGS), np.nan)
    values = np.array([rows.get(query_id, missing) for query_id in queries.tolist()], np.float64)
    return Scores(RANKED, queries, values.reshape(-1, len(NDCGS)))


def _values(
    ranking: Ranking, judged: Judgements, measures: Sequence[PerQuery], protocol: Protocol
) -> list[float]:
    """Return every measure of one query; all NDCGs come from one matching."""
    ranked = [measure for measure in measures if isinstance(measure, NDCG)]
    known = dict(zip(ranked, ndcg(ranking, judged, ranked, protocol).tolist(), strict=True)) if ranked else {}
    return [
        known[measure] if isinstance(measure, NDCG) else measure.of(ranking, judged, protocol)
        for measure in measures
    ]
