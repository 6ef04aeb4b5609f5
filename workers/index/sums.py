"""The rows with the largest sums of weighted shares, over the postings of a query's words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The rows (m,) int32, ascending, that have a word, and its shares (m,) uint16 there.

    weight: of the word in the query. most: no share is larger.
    """

    rows: NDArray[np.int32]
    shares: NDArray[np.uint16]
    weight: int
    most: int

    @property
    def sums(self) -> NDArray[np.uint32]:
        """What each row gets."""
        return self.shares * np.uint32(self.weight)

    @property
    def largest(self) -> int:
        """What a row gets at most."""
        return self.weight * self.most


def best(
    postings: Sequence[Postings], size: int, k: int, living: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Return the `k` rows with the largest sums, and these; equal ones in order of rows.

    size: of all rows. living: (size,) the rows that may be found, None for all. The sum of all largest must
    fit 32 bits.
    """
    # The words that say most first, until what is left cannot lift a row that none of them has to the best k.
    ordered = sorted(postings, key=lambda one: (-one.largest, len(one.rows)))
    sums = np.zeros(size, np.uint32)
    rest, least, seen = sum(one.largest for one in ordered), 0, []
    while ordered and rest >= least:
        one = ordered.pop(0)
        sums[one.rows] += one.sums
        rest -= one.largest
        rows = one.rows if living is None else one.rows[living[one.rows]]
        seen.append(rows)
        least = max(least, _least(sums[rows], k))
    # A row that the k-th best beats even with all that is left is out.
    chosen = [rows[sums[rows] >= max(1, least - rest)] for rows in seen]
    rows = np.unique(np.concatenate([np.zeros(0, np.int32), *chosen]))
    found = sums[rows]
    for one in ordered:
        places = np.minimum(np.searchsorted(one.rows, rows), len(one.rows) - 1)
        hit = one.rows[places] == rows
        found[hit] += one.shares[places[hit]] * np.uint32(one.weight)
        rest -= one.largest
        kept = found >= max(1, _least(found, k) - rest)
        rows, found = rows[kept], found[kept]
    first = np.lexsort((rows, -found.astype(np.int64)))[:k]
    return rows[first].astype(np.int64), found[first]


def _least(sums: NDArray[np.uint32], k: int) -> int:
    """Return the k-th largest, 0 where there are fewer."""
    return int(np.partition(sums, len(sums) - k)[len(sums) - k]) if len(sums) >= k else 0
