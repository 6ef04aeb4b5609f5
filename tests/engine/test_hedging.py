from engine.hedging import Hedging


def test_a_call_is_hedged_after_the_p95_of_its_kind() -> None:
    hedging = Hedging()
    assert hedging.after(0.25) == 0.25  # nothing is known yet
    for i in range(100):
        hedging.answered(0.05 if i % 10 else 0.1)
    assert hedging.after(0.25) == 0.1
    assert hedging.after(0.08) == 0.08
    for _ in range(200):
        hedging.answered(0.001)
    assert hedging.after(0.25) == Hedging.SHORTEST


def test_a_tenth_of_the_calls_may_be_hedged() -> None:
    hedging = Hedging()
    while hedging.take():
        pass
    hedged = 0
    for _ in range(1000):
        hedging.after(0.25)
        hedged += hedging.take()
    assert 90 <= hedged <= 110
