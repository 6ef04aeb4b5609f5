"""Intervals and tests against loops that draw one query at a time."""

import itertools

import numpy as np
import pytest

from tests import numeric
from trainer.evaluation.resample import bootstrap, means, paired


def test_means_leave_out_what_does_not_count() -> None:
    values = np.array([[1.0, np.nan, 2.0], [3.0, np.nan, np.nan]])
    numeric.close(means(values), [2.0, 0.0, 2.0], numeric.FLOAT64)
    np.testing.assert_array_equal(means(np.zeros((0, 2))), [0.0, 0.0])


def slow_bootstrap(values: np.ndarray, samples: int) -> np.ndarray:
    rng = np.random.default_rng(99)
    drawn = []
    for _ in range(samples):
        rows = values[[int(rng.integers(len(values))) for _ in values]]
        drawn.append([np.nanmean(column) for column in rows.T])
    return np.asarray(np.quantile(drawn, [0.025, 0.975], axis=0))


def test_the_interval_is_what_drawing_queries_gives() -> None:
    rng = np.random.default_rng(1)
    values = rng.random((60, 2)) * [1.0, 0.2]
    values[:20, 1] = np.nan
    low, high = bootstrap(values, samples=4000)
    slow_low, slow_high = slow_bootstrap(values, 3000)
    numeric.close(low, slow_low, 0.012, scale=1)
    numeric.close(high, slow_high, 0.012, scale=1)
    # A mean of n values with standard deviation s: about 1.96 s / sqrt(n) on both sides.
    half = 1.96 * np.nanstd(values, axis=0) / np.sqrt([60, 40])
    numeric.close((high - low) / 2, half, 0.1)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(2)
    inside = 0
    for trial in range(200):
        low, high = bootstrap(rng.random((50, 1)), seed=trial, samples=300)
        inside += int(low[0] <= 0.5 <= high[0])
    assert 0.89 <= inside / 200 <= 0.99


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.random.default_rng(3).random((30, 3))
    first, again, other = (np.stack(bootstrap(values, seed)) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert bootstrap(np.zeros((0, 3)))[0].tolist() == [0.0, 0.0, 0.0]


def exact_p(difference: np.ndarray) -> float:
    """Return the share of all sign patterns whose sum is at least as far from zero."""
    observed = abs(difference.sum())
    patterns = list(itertools.product([-1, 1], repeat=len(difference)))
    reached = sum(bool(abs(np.dot(signs, difference)) >= observed - 1e-12) for signs in patterns)
    return reached / len(patterns)


@pytest.mark.parametrize("shift", [0.0, 0.15, 0.4])
def test_p_is_that_of_all_permutations(shift: float) -> None:
    rng = np.random.default_rng(4)
    a = rng.random((12, 1))
    b = a + shift + rng.normal(0, 0.3, (12, 1))
    tested = paired(a, b, samples=20_000)
    assert tested.p[0] == pytest.approx(exact_p((b - a)[:, 0]), abs=0.012)
    assert tested.mean[0] == pytest.approx((b - a).mean())
    assert tested.low[0] < tested.mean[0] < tested.high[0]


def test_equal_runs_do_not_differ() -> None:
    a = np.random.default_rng(5).random((20, 2))
    tested = paired(a, a, samples=500)
    assert tested.p.tolist() == [1.0, 1.0]
    assert tested.mean.tolist() == tested.low.tolist() == tested.high.tolist() == [0.0, 0.0]


def test_queries_that_count_for_neither_say_nothing() -> None:
    a = np.array([[0.2], [0.4], [np.nan]])
    tested = paired(a, a + 0.1, samples=500)
    assert tested.mean[0] == pytest.approx(0.1)
    assert tested.p[0] == pytest.approx(0.5, abs=0.1)


def test_pairing_finds_what_unpaired_intervals_hide() -> None:
    rng = np.random.default_rng(6)
    a = rng.random((300, 1))
    b = a + 0.01 + rng.normal(0, 0.02, (300, 1))
    ends = [np.stack(bootstrap(values)).ravel() for values in (a, b)]
    assert ends[1][0] < ends[0][1]
    assert paired(a, b).p[0] < 0.01
