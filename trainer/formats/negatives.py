"""Which moments a training file keeps, and how often the published stage 3 finds no negative among them.

In a batch of pairs (query, moment) the published code takes moment b for right for query a where b's caption
is among the captions of a's own moments. It draws a wrong moment for every query and a wrong query for every
moment of the batch, and stops with an error where there is none: where a query takes all captions of the
batch, or all its queries take one caption.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from trainer.collection.annotations import JudgedQuery

PUBLISHED_BATCH = 8
PUBLISHED_EPOCHS = 50
# Failures in a whole training that are few enough.
SELDOM = 0.01


def nearest(queries: Sequence[JudgedQuery], top_k: int, min_similarity: float) -> list[JudgedQuery]:
    """Return every query with its `top_k` most similar moments of at least that similarity, in their order.

    Queries that are left without a moment go.
    """
    kept = []
    for query in queries:
        good = [moment for moment in query.moments if moment.similarity >= min_similarity]
        best = sorted(range(len(good)), key=lambda row: -good[row].similarity)[:top_k]
        if best:
            kept.append(replace(query, moments=tuple(good[row] for row in sorted(best))))
    return kept


def failures(queries: Sequence[JudgedQuery], batch: int = PUBLISHED_BATCH) -> float:
    """Return how many failures a step are expected, at most, for random batches of so many pairs."""
    taken = {query.query_id: {moment.caption for moment in query.moments} for query in queries}
    pairs = _pairs(queries)
    captions = Counter(moment.caption for query in queries for moment in query.moments)
    takers: Counter[str] = Counter()
    expected = 0.0
    for query in queries:
        own = len(query.moments)
        # Another moment of the batch is one that the query takes with this probability.
        takes = sum(captions[caption] for caption in taken[query.query_id]) / pairs
        expected += own * takes ** (batch - 1)
        for caption in taken[query.query_id]:
            takers[caption] += own
    expected += sum(count * (takers[caption] / pairs) ** (batch - 1) for caption, count in captions.items())
    return batch * expected / pairs if pairs else 0.0


def with_negatives(queries: Sequence[JudgedQuery], whole: bool) -> tuple[list[JudgedQuery], str]:
    """Return the queries with as many of their nearest moments as leave every batch a negative, and a note.

    whole: keep all moments, and tell what they lead to. The note is "" where there is nothing to tell.
    """
    given = list(queries)
    if _expected(given) < SELDOM:
        return given, ""
    steps = max(1, round(1 / failures(given)))
    told = (
        f"the published stage 3 is expected to stop once in {steps:,} steps at its batch of "
        f"{PUBLISHED_BATCH}, at one without a negative"
    )
    if whole:
        return given, f"{told}; leave --all-moments out"
    pairs = _pairs(given)
    for top_k in range(max(len(query.moments) for query in given) - 1, 0, -1):
        cut = nearest(given, top_k, -1.0)
        if _expected(cut) < SELDOM and _pairs(cut) >= PUBLISHED_BATCH:
            return cut, (
                f"{pairs - _pairs(cut):,} of {pairs:,} training pairs were left out, all but each query's "
                f"{top_k} nearest moments: with them {told}; --all-moments writes them too"
            )
    return given, f"{told}, however few moments a query has; train it with a larger batch"


def _expected(queries: Sequence[JudgedQuery]) -> float:
    """Return how many failures are expected in a whole published training."""
    return failures(queries) * PUBLISHED_EPOCHS * (_pairs(queries) // PUBLISHED_BATCH)


def _pairs(queries: Sequence[JudgedQuery]) -> int:
    return sum(len(query.moments) for query in queries)
