from engine.standing import IN, NEVER, OUT, SILENCES, STRIKES, Hedging, Standing, in_order


def bad(copy: Standing, times: int = STRIKES) -> Standing:
    for _ in range(times):
        copy.bad("slow")
    return copy


def silent(copy: Standing, seconds: float = 3.0) -> Standing:
    for _ in range(SILENCES):
        copy.timed_out(seconds)
    return copy


def test_the_copy_with_the_fewest_open_calls_is_asked_first_and_equals_in_turn() -> None:
    copies = [Standing(0.0, outstanding=n) for n in (2, 0, 0)]
    assert in_order(copies, 0, 1.0) == [1, 2, 0]
    assert in_order(copies, 2, 1.0) == [2, 1, 0]


def test_bad_answers_in_a_row_put_a_copy_behind_all_others_until_it_answers_well() -> None:
    copies = [bad(Standing(0.0)), Standing(0.0, outstanding=9)]
    assert in_order(copies, 0, 1.0) == [1, 0]
    copies[0].well(2.0)
    assert in_order(copies, 0, 2.0) == [0, 1]


def test_bad_answers_between_good_ones_are_forgiven() -> None:
    copy = bad(Standing(0.0), STRIKES - 1)
    copy.well(1.0)
    assert bad(copy, STRIKES - 1).place(2.0) == IN


def test_after_a_good_probe_one_bad_answer_suffices() -> None:
    copy = bad(Standing(0.0))
    copy.probed("", 1.0)
    assert copy.place(1.0) == IN
    assert bad(copy, 1).place(1.0) == OUT


def test_what_a_probe_finds_wrong_stays_out_until_a_probe_finds_it_right() -> None:
    copy = Standing(0.0)
    copy.probed("serves shard-00001", 1.0)
    copy.well(2.0)
    assert copy.place(2.0) == OUT
    copy.probed("", 3.0)
    assert copy.place(3.0) == IN


def test_a_silent_copy_is_not_asked_and_one_call_finds_out_whether_it_is_back() -> None:
    copy = silent(Standing(0.0))
    assert copy.place(6.0) == NEVER
    assert in_order([copy], 0, 6.0) == []
    copy.probed("", 7.0)
    assert copy.place(7.0) == IN
    copy.outstanding = 1
    assert copy.place(7.0) == NEVER
    copy.timed_out(3.0)
    copy.outstanding = 0
    assert copy.place(10.0) == NEVER
    copy.probed("", 11.0)
    copy.well(11.1)
    copy.outstanding = 5
    assert copy.place(11.2) == IN


def test_callers_with_short_deadlines_and_a_moments_overload_make_no_copy_silent() -> None:
    assert silent(Standing(0.0), seconds=0.01).place(9.0) == IN
    busy = silent(Standing(0.0))
    busy.well(4.0)
    assert silent(busy).place(4.5) != NEVER


def test_a_call_is_doubled_after_the_p95_of_its_kind() -> None:
    hedging = Hedging()
    assert hedging.after(0.25) == 0.25  # nothing is known yet
    for i in range(100):
        hedging.answered(0.05 if i % 10 else 0.1)
    assert hedging.after(0.25) == 0.1
    assert hedging.after(0.08) == 0.08
    for _ in range(200):
        hedging.answered(0.001)
    assert hedging.after(0.25) == Hedging.SHORTEST


def test_a_tenth_of_the_calls_may_be_doubled() -> None:
    hedging = Hedging()
    while hedging.take():
        pass
    doubled = 0
    for _ in range(1000):
        hedging.after(0.25)
        doubled += hedging.take()
    assert 90 <= doubled <= 110
