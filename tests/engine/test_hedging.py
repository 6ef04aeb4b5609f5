from engine.hedging import Bucket, Hedging, Latencies


def told(hedging: Hedging, target: str, seconds: float, times: int = Latencies.WINDOW) -> None:
    for _ in range(times):
        hedging.answered(target, seconds)


def test_a_call_is_hedged_after_the_p95_of_its_own_worker() -> None:
    hedging = Hedging()
    assert hedging.after("a", 0.25) == 0.25  # nothing is known yet
    for i in range(100):
        hedging.answered("a", 0.05 if i % 10 else 0.1)
    assert hedging.after("a", 0.25) == 0.1
    assert hedging.after("a", 0.08) == 0.08
    told(hedging, "b", 0.06)
    assert (hedging.after("a", 0.25), hedging.after("b", 0.25)) == (0.1, 0.06)
    told(hedging, "b", 0.001)
    assert hedging.after("b", 0.25) == Hedging.SHORTEST


def test_one_much_slower_than_the_fastest_is_hedged_early_and_an_outlier() -> None:
    hedging = Hedging()
    told(hedging, "a", 0.03)
    told(hedging, "b", 0.2)
    assert hedging.after("b", 0.25) == 0.03 * Hedging.OUTLIER
    assert (hedging.is_outlier("a"), hedging.is_outlier("b"), hedging.is_outlier("new")) == (
        False,
        True,
        False,
    )
    told(hedging, "b", 0.04)
    assert not hedging.is_outlier("b")
    hedging.forget("a")
    assert hedging.after("b", 0.25) == 0.04


def test_microseconds_make_no_outlier() -> None:
    hedging = Hedging()
    told(hedging, "a", 0.001)
    told(hedging, "b", 0.01)
    assert not hedging.is_outlier("b")


def test_a_budget_is_a_share_of_the_calls_and_a_burst() -> None:
    bucket = Bucket(0.1, 10.0)
    assert sum(bucket.take() for _ in range(20)) == 10
    spent = 0
    for _ in range(1000):
        bucket.earn()
        spent += bucket.take()
    assert 90 <= spent <= 110
