"""Calls of the last minute."""

import numpy as np
import pytest

from engine.recent import RATE_SECONDS, SECONDS, Recent


def at(calls: Recent, second: float) -> float:
    """Return a time of the clock: so many seconds after the calls began to be counted."""
    return calls._began + second


@pytest.mark.parametrize("scale", [0.0003, 0.02, 4.0])
def test_quantiles_are_right_to_within_a_tenth(scale: float) -> None:
    calls, latencies = Recent(), np.random.default_rng(0).lognormal(np.log(scale), 1.0, 4000)
    latencies = np.clip(latencies, 1.5e-4, 90)
    for i, latency in enumerate(latencies.tolist()):
        calls.record(latency, at(calls, i / 100))
    found = calls.summary(at(calls, 41))
    ranked = np.sort(latencies)
    assert found.p50 == pytest.approx(ranked[1999], rel=0.1)
    assert found.p99 == pytest.approx(ranked[3959], rel=0.1)


def test_the_rate_is_of_ten_seconds_and_the_quantiles_of_a_minute() -> None:
    calls = Recent()
    for i in range(100):
        calls.record(0.01, at(calls, i / 10))
    assert calls.summary(at(calls, 10)).per_second == pytest.approx(10, rel=0.15)
    later = calls.summary(at(calls, 30))
    assert later.per_second == 0
    assert later.p50 == pytest.approx(0.01, rel=0.1)
    over = calls.summary(at(calls, SECONDS + 30))
    assert (over.per_second, over.p50, over.p99) == (0, None, None)


def test_a_first_call_is_not_taken_for_many() -> None:
    calls = Recent()
    calls.record(0.01, at(calls, 0.001))
    assert calls.summary(at(calls, 0.002)).per_second == 1


def test_extreme_times_are_counted_in_the_outermost_buckets() -> None:
    calls = Recent()
    for seconds in (0.0, -1.0, 1e-9, 1e9):
        calls.record(seconds, at(calls, 1))
    found = calls.summary(at(calls, 1))
    assert found.p50 == pytest.approx(1e-4, rel=0.2)
    assert found.p99 is not None
    assert found.p99 > 60
    assert found.per_second * RATE_SECONDS >= 4
