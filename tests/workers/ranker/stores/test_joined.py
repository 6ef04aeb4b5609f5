import numpy as np
import pytest

from engine.errors import Mismatch
from workers.ranker.stores.joined import JoinedRows, by_ordinal, joined, places

PARTS = [np.arange(6).reshape(3, 2), np.zeros((0, 2), int), np.arange(6, 10).reshape(2, 2)]
WHOLE = np.concatenate(PARTS)


def test_several_arrays_read_as_one() -> None:
    rows = joined(PARTS)
    assert isinstance(rows, JoinedRows)
    assert (len(rows), rows.shape, rows.dtype) == (5, (5, 2), WHOLE.dtype)
    for chosen in ([4, 0, 2, 2, 3], [], [1]):
        numbers = np.array(chosen, np.int64)
        np.testing.assert_array_equal(rows[numbers], WHOLE[numbers])
    for begin in range(6):
        for end in range(6):
            np.testing.assert_array_equal(rows[begin:end], WHOLE[begin:end])
    np.testing.assert_array_equal(rows[:], WHOLE)
    np.testing.assert_array_equal(rows[::2], WHOLE[::2])
    assert np.shares_memory(rows[3:5], PARTS[2])


def test_one_array_is_passed_through() -> None:
    assert joined(PARTS[:1]) is PARTS[0]


def test_arrays_that_differ_are_refused() -> None:
    with pytest.raises(Mismatch, match="spr build"):
        joined([PARTS[0], PARTS[0].astype(np.float32)])


def test_living_videos_lie_in_the_order_of_their_ordinals() -> None:
    counts = [np.array([1, 2]), np.array([0]), np.array([1, 1])]
    starts = [np.array([0, 1]), np.array([0]), np.array([0, 1])]
    ordinals = [np.array([2, 0], np.int32), np.array([1], np.int32), np.array([-1, 3], np.int32)]
    found = places(starts, counts, np.array([0, 3, 3, 5]), ordinals)
    assert [column.tolist() for column in found] == [[1, 3, 0, 4], [2, 0, 1, 1]]
    with pytest.raises(Mismatch, match="2 videos and lists 1"):
        by_ordinal(counts[:1], [ordinals[1]])
