from itertools import pairwise
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import temporal
from engine.temporal import iou, suppress


def pair_iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    union = (a[1] - a[0]) + (b[1] - b[0]) - shared
    return shared / union if union > 0 else 0.0


SPAN = st.tuples(st.integers(0, 20), st.integers(0, 8)).map(lambda s: (float(s[0]), float(s[0] + s[1])))


def test_half_open_neighbours_do_not_overlap() -> None:
    spans = np.array([[0.0, 4.0], [4.0, 8.0], [2.0, 6.0], [5.0, 5.0]])
    matrix = iou(spans, spans)
    assert matrix[0, 1] == 0
    assert matrix[0, 2] == pytest.approx(1 / 3)
    assert matrix[3].tolist() == [0, 0, 0, 0]


@given(
    rows=st.lists(st.tuples(st.integers(0, 2), SPAN), max_size=25),
    limit=st.sampled_from([0.0, 0.3, 0.5, 1.0]),
)
def test_suppression_equals_the_readable_loop(
    rows: list[tuple[int, tuple[float, float]]], limit: float
) -> None:
    videos = np.array([video for video, _ in rows], np.int32)
    spans = np.array([span for _, span in rows], np.float64).reshape(-1, 2)
    kept: list[int] = []
    for i, (video, span) in enumerate(rows):
        if all(rows[j][0] != video or pair_iou(rows[j][1], span) <= limit for j in kept):
            kept.append(i)
    found = suppress(videos, spans, limit).tolist()
    with mock.patch.object(temporal, "_FEW", 0):
        assert suppress(videos, spans, limit).tolist() == found
    assert found == kept
    assert all(a < b for a, b in pairwise(found))
