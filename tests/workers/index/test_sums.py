"""The rows with the largest sums, against sums of all rows that are sorted."""

import numpy as np
import pytest

from workers.index import sums
from workers.index.sums import Postings, best

SIZE = 5000


def _postings(rng: np.random.Generator, count: int, shares: int) -> list[Postings]:
    """Return words that a tenth of the rows have, most of them at the end."""
    found = []
    for _ in range(count):
        rows = np.flatnonzero(rng.random(SIZE) < 0.2 * np.linspace(0, 1, SIZE) ** 8)
        found.append(
            Postings(
                rows.astype(np.int32),
                rng.integers(1, shares + 1, len(rows), np.uint16),
                int(rng.integers(1, 99)),
            )
        )
    return found


@pytest.mark.parametrize("sample", [16, 700, SIZE])
@pytest.mark.parametrize("k", [0, 1, 20, 200, 2 * SIZE])
# Of one share many rows are equal.
@pytest.mark.parametrize("shares", [1, 65_535])
def test_they_are_the_first_of_all(sample: int, k: int, shares: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sums, "_SAMPLE", sample)
    rng = np.random.default_rng(sample + k)
    for count in (0, 1, 2, 7):
        postings = _postings(rng, count, shares)
        for living in (None, rng.random(SIZE) < 0.4, np.zeros(SIZE, np.bool_)):
            whole = np.zeros(SIZE, np.int64)
            for one in postings:
                whole[one.rows] += one.shares.astype(np.int64) * one.weight
            if living is not None:
                whole[~living] = 0
            expected = np.lexsort((np.arange(SIZE), -whole))[: min(k, np.count_nonzero(whole))]
            rows, found = best(postings, SIZE, k, living)
            np.testing.assert_array_equal(rows, expected)
            np.testing.assert_array_equal(found, whole[expected])


@pytest.mark.parametrize("k", [0, 1, 5])
def test_of_no_rows_none_is_found(k: int) -> None:
    none = Postings(np.zeros(0, np.int32), np.zeros(0, np.uint16), 9)
    for living in (None, np.zeros(0, np.bool_)):
        rows, found = best([none], 0, k, living)
        assert (len(rows), len(found)) == (0, 0)
