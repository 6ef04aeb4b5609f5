"""What int5 stores: three numbers a word, rotated, and dot products as they were."""

import numpy as np
import pytest

from engine.types import Floats
from tests import numeric
from workers.ranker.stores import rounding


def unit(n: int, hidden: int) -> Floats:
    vectors = np.random.default_rng(0).normal(size=(n, hidden)).astype(np.float32)
    found: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def read(word: int) -> list[float]:
    """Return the three numbers of a word, read bit by bit, the slow way."""
    numbers = []
    for shift in (11, 6, 0):
        bits = (word << shift) & 0xFFFF
        numbers.append((bits - 0x10000 if bits >= 0x8000 else bits) / 2048)
    return numbers


@pytest.mark.parametrize("hidden", [1, 7, 24, 128])
def test_words_hold_three_numbers_and_come_back(hidden: int) -> None:
    vectors = unit(50, hidden)
    vectors[3] = 0.0
    rows, scales = rounding.rounded(vectors, "int5")
    assert scales is not None
    assert (rows.dtype.name, rows.shape) == ("int16", (50, -(-hidden // 3)))
    slow = np.array([[read(int(word)) for word in row] for row in rows]).transpose(0, 2, 1).reshape(50, -1)
    fast = np.concatenate(rounding.unpacked(rows), axis=1) / 2048
    np.testing.assert_array_equal(fast, slow)
    # Half a step is what rounding may take; a step is the row's largest number through 15.
    turned = rounding.turned(vectors)
    assert (np.abs(slow[:, :hidden] * scales[:, None] - turned) <= 0.51 * scales[:, None] + 1e-6).all()
    restored = rounding.restored(rows, scales, hidden)
    numeric.close(restored, vectors, 0.05, scale=1)
    assert not restored[3].any()


def test_queries_meet_stored_rows_as_vectors_meet() -> None:
    vectors, (query, other) = unit(50, 128), unit(2, 128)
    rows, scales = rounding.rounded(vectors, "int5")
    assert scales is not None
    alone, together = (rounding.asked([q], "int5")[0] for q in (query[None], np.stack([other, query])))
    np.testing.assert_array_equal(alone[0], together[1])
    found = np.concatenate(rounding.unpacked(rows), axis=1) @ alone[0] * scales
    numeric.close(found, rounding.restored(rows, scales, 128) @ query, 1e-5, scale=1)
    numeric.close(found, vectors @ query, 0.02, scale=1)


def test_a_number_that_stands_out_costs_the_others_nothing() -> None:
    vectors = unit(50, 256)
    vectors[:, 7] += 2.0
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = {}
    kinds: tuple[rounding.ContextType, ...] = ("int8", "int5")
    for dtype in kinds:
        rows, scales = rounding.rounded(vectors, dtype)
        found[dtype] = float(np.linalg.norm(rounding.restored(rows, scales, 256) - vectors, axis=1).mean())
    assert found["int8"] < 0.06 > found["int5"]
