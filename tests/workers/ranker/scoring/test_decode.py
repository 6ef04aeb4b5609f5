import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.types import Floats
from tests import numeric
from tests.workers.ranker.queries import of_tokens
from workers.ranker.model.windows import WindowConfig, arrange
from workers.ranker.scoring.decode import UNSURE, DecodeConfig, ranked
from workers.ranker.scoring.evidence import Evidence, best_spans


def slow_span(start: Floats, end: Floats, length: int, config: DecodeConfig) -> tuple[float, int, int] | None:
    """Return the best (log probability, first clip, last clip) of one window, or None, clip by clip."""

    def log_softmax(logits: Floats) -> list[float]:
        numbers = [float(x) for x in logits[:length]]
        top = max(numbers)
        total = top + math.log(sum(math.exp(x - top) for x in numbers))
        return [x - total for x in numbers]

    best: tuple[float, int, int] | None = None
    if length:
        starts, ends = log_softmax(start), log_softmax(end)
        for m in range(length):
            for n in range(m + config.min_span - 1, min(m + config.max_span, length)):
                if best is None or starts[m] + ends[n] > best[0]:
                    best = (starts[m] + ends[n], m, n)
    return best


def chosen(starts: Floats, ends: Floats, lengths: NDArray[np.int64], config: DecodeConfig) -> Evidence:
    """Return the spans as evidence without anything else."""
    logits = torch.from_numpy(starts), torch.from_numpy(ends)
    columns = best_spans(*logits, torch.from_numpy(lengths), config.min_span, config.max_span)
    arrays: dict[str, Any] = dict(
        zip(("start", "end", "log_start", "log_end"), (column.numpy() for column in columns), strict=True)
    )
    return replace(Evidence.empty(len(lengths)), **arrays)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.integers(1, 4), st.integers(0, 6), st.integers(1, 12))
def test_spans_are_those_of_the_loop(seed: int, shortest: int, extra: int, width: int) -> None:
    rng = np.random.default_rng(seed)
    config = DecodeConfig(min_span=shortest, max_span=shortest + extra)
    lengths = rng.integers(0, width + 1, 5)
    starts, ends = rng.normal(scale=4, size=(2, 5, width)).astype(np.float32)
    found = chosen(starts, ends, lengths, config)
    for row, length in enumerate(lengths):
        wanted = slow_span(starts[row], ends[row], int(length), config)
        if wanted is None:
            assert not found.found[row]
            assert found.log_start[row] + found.log_end[row] == UNSURE
        else:
            assert (found.start[row], found.end[row]) == wanted[1:]
            assert found.log_start[row] + found.log_end[row] == pytest.approx(wanted[0], abs=1e-9)


def test_huge_logits_do_not_overflow() -> None:
    logits = np.array([[1e30, -1e30, 0.0]], np.float32)
    found = chosen(logits, logits[:, ::-1].copy(), np.array([3]), DecodeConfig())
    assert (found.start[0], found.end[0]) == (0, 2)
    assert (found.log_start[0], found.log_end[0]) == (0.0, 0.0)


def test_degenerate_windows_keep_the_coarse_span() -> None:
    config = DecodeConfig(relevance_weight=10.0, probability_weight=0.5, coarse_weight=2.0)
    windows = arrange(
        np.zeros(3, np.int32),
        np.array([[0.0, 4.0], [0.0, 1.0], [8.0, 12.0]]),
        np.array([20.0, 1.0, 9.0]),
        np.array([20, 1, 12]),
        WindowConfig(clip_length=1.0, context=0.0),
    )
    logits = np.zeros((3, 4), np.float32)
    logits[0, 2] = 5.0
    best = chosen(logits, logits[:, ::-1].copy(), windows.lengths, config)
    coarse = np.array([[0.0, 4.0], [0.0, 1.0], [8.0, 9.0]])
    best = replace(best, relevance=np.array([0.5, 0.2, -1.0], np.float32))
    query = of_tokens(
        np.zeros((1, 4), np.float32), windows.videos, coarse, np.array([1.0, 2.0, 3.0], np.float32)
    )
    columns = ranked(query, windows, best, np.array([20.0, 1.0, 9.0]), config, 1, "relo")
    assert columns.refined.tolist() == [True, False, False]
    np.testing.assert_array_equal(columns.spans[1:], coarse[1:])
    numeric.close(columns.scores[1:], [2 + 0.5 * UNSURE + 4, -10 + 0.5 * UNSURE + 6])
    assert columns.scores[0] == pytest.approx(5 + 0.5 * (best.log_start[0] + best.log_end[0]) + 2)


def test_one_clip_is_a_span_where_allowed() -> None:
    logits = np.array([[9.0, 0.0, 0.0]], np.float32)
    allowed = chosen(logits, logits, np.array([3]), DecodeConfig(min_span=1))
    assert (allowed.start[0], allowed.end[0]) == (0, 0)
    with pytest.raises(InvalidInput, match="min_span"):
        DecodeConfig(min_span=3, max_span=2)


def test_no_proposals_are_no_spans() -> None:
    empty = np.zeros((0, 4), np.float32)
    assert len(chosen(empty, empty, np.zeros(0, np.int64), DecodeConfig())) == 0
