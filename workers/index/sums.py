"""The rows with the largest sums of weighted shares, over the postings of a query's words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int32]
Places = NDArray[np.intp]
Scalar = TypeVar("Scalar", bound=np.generic)
# Adding so many postings takes as long as looking for one row among them.
_LOOK_UP = 8


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
    def places(self) -> Places:
        """The rows as NumPy indexes by: it casts what is of another type each time it is used."""
        return self.rows.astype(np.intp)

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
        rows = one.places
        before = sums.take(rows)
        found = before + one.sums
        sums[rows] = found
        rest -= one.largest
        if living is not None:
            alive = np.flatnonzero(living.take(rows))
            rows, before, found = rows.take(alive), before.take(alive), found.take(alive)
        seen.append(_where(before == 0, rows) if seen else rows)
        least = _least(found, k, least)
    # A row that the k-th best beats even with all that is left is out.
    enough = max(1, least - rest)
    rows = np.concatenate([np.zeros(0, np.intp), *(_where(sums.take(one) >= enough, one) for one in seen)])
    for one in ordered:
        _add(sums, one, rows)
        rest -= one.largest
        found = sums.take(rows)
        least = _least(found, k, least)
        rows = _where(found >= max(1, least - rest), rows)
    found = sums[rows]
    first = np.lexsort((rows, -found.astype(np.int64)))[:k]
    return rows[first].astype(np.int64), found[first]


def _add(sums: NDArray[np.uint32], one: Postings, rows: Places) -> None:
    """Add a word's part to the sums of `rows`; what others then have means nothing."""
    if len(one.rows) < _LOOK_UP * len(rows):
        places = one.places
        sums[places] = sums.take(places) + one.sums
        return
    # Of one type, or all of the word's rows would be cast.
    wanted = rows.astype(np.int32)
    places = np.minimum(np.searchsorted(one.rows, wanted), len(one.rows) - 1)
    hit = one.rows[places] == wanted
    sums[rows[hit]] += one.shares[places[hit]] * np.uint32(one.weight)


def _least(sums: NDArray[np.uint32], k: int, least: int) -> int:
    """Return the k-th largest of some sums, or `least` where that is larger or there are fewer."""
    above = _where(sums > least, sums)
    return int(np.partition(above, len(above) - k)[len(above) - k]) if len(above) >= k else least


def _where(chosen: NDArray[np.bool_], values: NDArray[Scalar]) -> NDArray[Scalar]:
    """Return the chosen values: a mask as an index costs a branch a value, which is guessed wrong."""
    return values.take(np.flatnonzero(chosen))
