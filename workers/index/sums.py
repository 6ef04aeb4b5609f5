"""The rows with the largest sums of weighted shares, over the postings of a query's words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Sums = NDArray[np.uint32]
# Of so many sums the cut is guessed: sorting them takes as long as adding a few thousand postings.
_SAMPLE = 8192


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The rows (m,) int32, each once, that have a word, its shares (m,) uint16 there, and its weight."""

    rows: Rows
    shares: NDArray[np.uint16]
    weight: int


def best(
    postings: Sequence[Postings], size: int, k: int, living: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], Sums]:
    """Return the `k` rows with the largest sums, and these; equal ones in order of rows.

    size: of all rows. living: (size,) the rows that may be found, None for all. The sum of all largest must
    fit 32 bits.
    """
    sums = np.zeros(size, np.uint32)
    for one in postings:
        # By what NumPy indexes with: other types take its slow path.
        np.add.at(sums, one.rows.astype(np.intp), one.shares * np.uint32(one.weight))
    if living is not None:
        sums *= living
    rows = _first(sums, k)
    found = sums[rows]
    # Stable: equal ones stay in order of rows.
    first = np.argsort(-found.astype(np.int64), kind="stable")[:k]
    return rows[first].astype(np.int64), found[first]


def _first(sums: Sums, k: int) -> NDArray[np.intp]:
    """Return rows above 0, ascending: the `k` with the largest sums, few more, and all that equal them.

    Where the cut lies is guessed by a sample, until enough are above it.
    """
    step = max(1, len(sums) // _SAMPLE)
    sample = np.sort(sums[::step])[::-1]
    place = max(1, k) if step == 1 else 8 + 3 * k // (2 * step)
    while place <= len(sample) and (guess := sample[place - 1]):
        rows = np.flatnonzero(sums >= guess)
        if len(rows) >= k:
            return rows
        place *= 2
    return np.flatnonzero(sums)
