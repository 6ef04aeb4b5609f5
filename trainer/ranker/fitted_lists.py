"""How much each ranked list counts among the proposals: fitted on judged queries, before any ranker.

The proposals should show what is relevant, the better the earlier: the share of a query's gain (2^grade - 1)
that the windows of its first proposals show, mean over DEPTHS and queries. One list's weight is moved at a
time over a few values, and stays where that gains nothing, as few queries tell apart only what differs much.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engine.channels import WEIGHTS
from engine.types import Proposals
from trainer.collection.retrieval import seen_moments
from trainer.evaluation.judged import Judgements

VALUES = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0)
DEPTHS = (5, 10, 20, 50, 100, 200)
ROUNDS = 2
LEAST_GAIN = 1e-3
LEAST_SHOWN = 0.5
# More queries are no better judges, and take longer.
MOST_QUERIES = 300

Weights = Mapping[str, float]


def fit_lists(
    names: Sequence[str],
    truths: Sequence[Judgements],
    propose: Callable[[int, Weights], Proposals],
    context: float,
) -> dict[str, float]:
    """Return the weights of all lists; only those of `names` are moved.

    propose: takes a query's row and weights. context: seconds that a ranker reads on both sides of one.
    """
    rows = [row for row, truth in enumerate(truths) if truth.answerable]
    rows = rows[:: max(1, -(-len(rows) // MOST_QUERIES))]
    weights = dict(WEIGHTS)

    def worth(candidate: Weights) -> float:
        return float(np.mean([shown(propose(row, candidate), truths[row], context) for row in rows]))

    best = worth(weights) if rows else 0.0
    for _ in range(ROUNDS if rows else 0):
        before = dict(weights)
        for name in names:
            found = {value: worth({**weights, name: value}) for value in VALUES if value != weights[name]}
            value = max(found, key=lambda one: found[one])
            if found[value] > best + LEAST_GAIN:
                weights[name], best = value, found[value]
        if weights == before:
            break
    return weights


def shown(proposals: Proposals, truth: Judgements, context: float) -> float:
    """Return the share of a query's gain that its first proposals show, mean over DEPTHS."""
    gains = np.exp2(truth.relevances) - 1
    relevant = gains > 0
    moments = (truth.videos[relevant], truth.spans[relevant])
    there = seen_moments(proposals, *moments, context, LEAST_SHOWN)
    first = (
        np.where(there.any(1), there.argmax(1), max(DEPTHS))
        if there.size
        else np.full(len(there), max(DEPTHS))
    )
    shares = [gains[relevant][first < depth].sum() for depth in DEPTHS]
    return float(np.mean(shares) / gains.sum())
