"""Fetches rows until no equal of the last hit can lie behind them: ties are broken in a fixed order."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from engine.types import Floats
from workers.index.living import Found

# Ties at the k-th place are broken among so many candidates; beyond it arbitrarily.
_MAX_TIED = 16_384
# Takes queries (nq, dim), rows to fetch and candidates; returns scores and rows, row -1 for none.
Nearest: TypeAlias = Callable[[Floats, int, int], Found]


def to_the_cut(nearest: Nearest, queries: Floats, k: int, total: int, factor: int) -> list[Found]:
    """Return scores and rows for each query: the best `k` of `total`, and all that score like the last.

    factor: candidates a row that are scored anew, 0 or 1 for none.
    """
    # One more than asked: if it scores like the k-th, the cut may run through a group of equals.
    fetch = min(k + 1, total)
    candidates = min(fetch * max(1, factor), total)
    if not fetch:
        return [(np.zeros(0, np.float32), np.zeros(0, np.int64))] * len(queries)
    scores, rows = nearest(queries, fetch, candidates)
    found = list(zip(scores, rows, strict=True))
    tied = np.flatnonzero(_cut_is_tied(scores, rows, k))
    while len(tied) and fetch < min(total, k + _MAX_TIED):
        fetch = min(4 * fetch, total, k + _MAX_TIED)
        scores, rows = nearest(queries[tied], fetch, max(fetch, candidates))
        for query, s, r in zip(tied, scores, rows, strict=True):
            found[query] = s, r
        tied = tied[_cut_is_tied(scores, rows, k)]
    return found


def _cut_is_tied(scores: Floats, rows: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Tell, (nq,), whether equals of the k-th hit may lie behind the last one fetched."""
    if scores.shape[1] <= k:
        return np.zeros(len(scores), np.bool_)
    return np.asarray((rows[:, -1] >= 0) & (scores[:, k - 1] == scores[:, -1]))
