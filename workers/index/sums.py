"""The rows with the largest sums of weighted shares, over the postings of a query's words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Places = NDArray[np.intp]
# Adding so many postings takes as long as looking for one row among them.
_LOOK_UP = 16


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The rows (m,) int32, ascending, that have a word, and its shares (m,) uint16 there.

    weight: of the word in the query. most: no share is larger.
    """

    rows: Rows
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
    rest, least, seen = sum(one.largest for one in ordered), 0, list[Places]()
    while ordered and rest >= least:
        one = ordered.pop(0)
        # Cast once: NumPy casts an index of another type each time it is used.
        rows = one.rows.astype(np.intp)
        sums[rows] += one.sums
        rest -= one.largest
        rows = rows if living is None else rows[living[rows]]
        seen.append(rows)
        least = _least(sums[rows], k, least)
    # A row that the k-th best beats even with all that is left is out.
    rows = _above(sums, seen, max(1, least - rest))
    for one in ordered:
        _add(sums, one, rows)
        rest -= one.largest
        least = _least(sums[rows], k, least)
        rows = rows[sums[rows] >= max(1, least - rest)]
    found = sums[rows]
    first = np.lexsort((rows, -found.astype(np.int64)))[:k]
    return rows[first].astype(np.int64), found[first]


def _above(sums: NDArray[np.uint32], lists: Sequence[Places], least: int) -> Places:
    """Return the rows of all lists, each once, that have a sum of at least `least`."""
    taken = np.zeros(len(sums), np.bool_)
    chosen = [np.zeros(0, np.intp)]
    for rows in lists:
        above = rows[sums[rows] >= least]
        chosen.append(above[~taken[above]])
        taken[above] = True
    return np.concatenate(chosen)


def _add(sums: NDArray[np.uint32], one: Postings, rows: Places) -> None:
    """Add a word's part to the sums of `rows`; what others then have means nothing."""
    if len(one.rows) < _LOOK_UP * len(rows):
        sums[one.rows] += one.sums
        return
    places = np.minimum(np.searchsorted(one.rows, rows), len(one.rows) - 1)
    hit = one.rows[places] == rows
    sums[rows[hit]] += one.shares[places[hit]] * np.uint32(one.weight)


def _least(sums: NDArray[np.uint32], k: int, least: int) -> int:
    """Return the k-th largest of some sums, or `least` where that is larger or there are fewer."""
    above = sums[sums > least]
    return int(np.partition(above, len(above) - k)[len(above) - k]) if len(above) >= k else least
