import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from workers.ranker.model.side_by_side import Alone, in_turn

CPU = torch.device("cpu")


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("three_threads")
def test_items_are_done_side_by_side_with_a_thread_each_and_come_in_order() -> None:
    together = threading.Barrier(3, timeout=30)

    def work(item: int) -> tuple[int, int]:
        together.wait()
        return item, torch.get_num_threads()

    assert list(in_turn(work, range(6), CPU)) == [(item, 1) for item in range(6)]
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_few_items_are_drawn_ahead() -> None:
    left = iter(range(100))
    items = in_turn(lambda item: item, left, CPU)
    assert next(items) == 0
    assert next(left) == 7
    del items
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_an_error_ends_it_and_the_threads_are_as_before() -> None:
    def work(item: int) -> float:
        return 1 / (item - 2)

    found = in_turn(work, range(100), CPU)
    assert [next(found), next(found)] == [-0.5, -1]
    with pytest.raises(ZeroDivisionError):
        next(found)
    assert torch.get_num_threads() == 3


@pytest.mark.usefixtures("three_threads")
def test_alone_is_one_thread_and_others_keep_theirs() -> None:
    alone = Alone()

    def work(item: int) -> tuple[int, int, int]:
        return item, torch.get_num_threads(), threading.get_ident()

    first, second = alone(work, 1), alone(work, 2)
    assert (first[:2], second[:2]) == ((1, 1), (2, 1))
    assert threading.get_ident() not in (first[2], second[2])
    assert torch.get_num_threads() == 3
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == 3


@pytest.mark.usefixtures("three_threads")
def test_as_many_are_alone_at_a_time_as_there_were_threads() -> None:
    alone, together = Alone(), threading.Barrier(3, timeout=30)

    def work(_: int) -> int:
        together.wait()
        return torch.get_num_threads()

    with ThreadPoolExecutor(3) as callers:
        assert list(callers.map(lambda item: alone(work, item), range(3))) == [1, 1, 1]


@pytest.mark.usefixtures("three_threads")
def test_many_that_begin_to_be_alone_together_leave_the_threads_of_others() -> None:
    for _ in range(20):
        each, together = [Alone() for _ in range(8)], threading.Barrier(8, timeout=30)

        def work(alone: Alone, together: threading.Barrier = together) -> tuple[int, int]:
            together.wait()
            return alone(lambda _: torch.get_num_threads(), 0), torch.get_num_threads()

        with ThreadPoolExecutor(8) as callers:
            assert set(callers.map(work, each)) == {(1, 3)}
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(torch.get_num_threads).result() == 3


def test_an_error_of_what_is_done_alone_is_raised() -> None:
    alone = Alone()
    with pytest.raises(ZeroDivisionError):
        alone(lambda item: 1 / item, 0)
    assert alone(lambda item: 1 / item, 2) == 0.5
