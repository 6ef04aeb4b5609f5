"""Who runs, waits and is refused, in virtual time."""

import pytest

from engine.errors import Overloaded
from engine.line import BATCHED, LEAST_RETRY, Line, State, Ticket
from engine.pace import Concurrency, Pace
from tests.engine.simulated import PEAK, Simulation


@pytest.mark.parametrize("deadline", [1.0, 10.0])
@pytest.mark.parametrize("factor", [2, 5, 50])
def test_goodput_holds_at_any_load_and_nothing_piles_up(deadline: float, factor: int) -> None:
    simulation = Simulation(Line(64))
    goodput = simulation.run({str(n): factor * PEAK / 4 for n in range(4)}, deadline, 20)
    assert goodput >= 0.85 * PEAK
    assert simulation.late.total() < 0.1 * simulation.answered.total()
    assert simulation.most <= 2 * 64


def test_a_quiet_service_refuses_nobody() -> None:
    simulation = Simulation(Line(64))
    simulation.run({"one": PEAK / 2}, 10.0, 20)
    assert not simulation.refused
    assert not simulation.late


@pytest.mark.parametrize("greed", [2, 20])
def test_a_greedy_caller_takes_nothing_from_a_modest_one(greed: int) -> None:
    simulation = Simulation(Line(64))
    simulation.run({"greedy": greed * PEAK, "modest": PEAK / 10}, 10.0, 20)
    assert simulation.answered["modest"] > 60
    assert not simulation.refused["modest"]
    assert not simulation.late["modest"]
    assert simulation.answered["greedy"] > 0.7 * PEAK * 20


def test_a_service_that_stalled_and_came_back_lets_in_as_many_as_before() -> None:
    line = Line(64)
    simulation = Simulation(line)
    simulation.run({"one": 5 * PEAK}, 1.0, 10)
    line.pace.seconds = 60.0  # as a stall leaves it
    assert simulation.run({"one": 5 * PEAK}, 1.0, 15) >= 0.85 * PEAK


def entered(
    line: Line, caller: str = "one", cost: float = 1.0, ends: float = 100.0, batch: bool = False
) -> Ticket:
    ticket = Ticket(caller, cost, ends, ends, batch)
    line.enter(ticket, 0.0)
    return ticket


def test_a_caller_alone_takes_everything_and_no_more() -> None:
    line = Line(4)
    assert [entered(line).state for _ in range(4)] == [State.RUNNING] * 4
    with pytest.raises(Overloaded) as refusal:
        entered(line)
    assert refusal.value.retry_after == 0.5
    # Another one gets a share, and the next place.
    other = entered(line, "other")
    assert other.state is State.WAITING


def test_room_is_made_by_the_caller_who_has_most() -> None:
    line = Line(4)
    line.concurrency.allowed = line.concurrency.limit = 2.0
    mine = [entered(line) for _ in range(4)]
    other = entered(line, "other")
    assert [ticket.state for ticket in mine] == [*[State.RUNNING] * 2, State.WAITING, State.REFUSED]
    line.leave(mine[0], 1.0, True)
    assert other.state is State.RUNNING
    assert mine[2].state is State.WAITING


def test_no_caller_is_remembered_that_has_nothing_here() -> None:
    line = Line(4)
    for number in range(100):
        line.leave(entered(line, str(number)), 1.0, True)
    assert not line._running.of
    assert not line._singles.held.of


def test_a_costly_search_takes_more_places_and_runs_even_where_it_takes_all() -> None:
    line = Line(4)
    large = entered(line, cost=7.0)
    assert large.state is State.RUNNING
    with pytest.raises(Overloaded):
        entered(line)
    line.leave(large, 1.0, True)
    assert entered(line).state is State.RUNNING


def test_who_cannot_be_answered_in_time_is_refused_at_once() -> None:
    line = Line(64)
    line.pace.seconds, line.concurrency.allowed = 0.1, 4.0
    for _ in range(10):
        entered(line)
    assert line.refusal("one", 1.0)
    assert line.refusal("one", 10.0) is None
    # Another caller waits for those that run alone.
    assert line.refusal("other", 1.0) is None
    assert line.retry_after() == 1.0


def test_what_waited_too_long_is_not_begun() -> None:
    line = Line(4)
    line.concurrency.allowed, line.concurrency.quickest = 1.0, 0.2
    first, late, good = entered(line), entered(line, ends=1.1), entered(line)
    line.leave(first, 1.0, True)
    assert (late.state, good.state) == (State.REFUSED, State.RUNNING)


def test_batches_have_half_of_the_places_and_are_not_starved() -> None:
    line = Line(4)
    batch = [entered(line, batch=True) for _ in range(4)]
    assert [ticket.state for ticket in batch].count(State.RUNNING) == 2
    singles = [entered(line), entered(line)]
    assert [ticket.state for ticket in singles] == [State.RUNNING] * 2
    line.leave(batch[0], 1.0, True)
    assert batch[2].state is State.RUNNING


def test_batches_that_cannot_be_done_in_time_are_refused_as_a_whole() -> None:
    line = Line(64)
    line.pace.seconds = 0.025
    taken = 3  # 192 searches of 25 ms: half of the ten seconds
    for _ in range(taken):
        line.promise("one", 64, 10.0)
    with pytest.raises(Overloaded):
        line.promise("one", 64, 10.0)
    line.promise("other", 64, 10.0)  # has a share
    line.release("other", 64)
    for _ in range(taken):
        line.release("one", 64)
    line.promise("one", 64 * BATCHED, 0.1)  # alone: answers what it can


def test_a_pace_is_measured_while_work_waits() -> None:
    pace = Pace()
    pace.answered(1.0, 0.2, 1.0)
    assert pace.seconds == 0
    pace.working(True, 1.0)
    for number in range(1, 11):
        pace.answered(1.0, 0.2, 1.0 + 0.05 * number)
    assert pace.seconds == pytest.approx(0.05)
    pace.working(False, 2.0)
    pace.seconds = 9.0
    pace.answered(1.0, 0.2, 3.0)
    assert pace.seconds == pytest.approx(0.2)


def test_fewer_run_at_once_when_each_takes_long_for_its_deadline_and_more_again_when_not() -> None:
    allowed = Concurrency(64)
    for number in range(64):
        allowed.ended(number, 10.0, 64, number + 0.1)
    assert allowed.allowed == 64  # slow start
    allowed.answered(0.01)
    allowed.ended(100.0, 1.0, 32, 100.5)
    assert allowed.allowed == 16  # twice the quarter of a second: half of those that ran
    allowed.ended(100.4, 1.0, 16, 100.9)
    assert allowed.allowed == 16  # it began before the cut
    allowed.ended(100.6, 10.0, 16, 101.5)
    assert allowed.allowed > 16
    for number in range(100):
        allowed.ended(102.0 + number, 1.0, 16, 102.9 + number)
    assert allowed.allowed == Concurrency.FEWEST


def test_a_refusal_names_a_time_to_come_back_that_is_never_none() -> None:
    line = Line(1)
    line.pace.seconds = 1e-9
    entered(line)
    refusal = line.refusal("one", 10.0)
    assert refusal
    assert refusal.retry_after == LEAST_RETRY
