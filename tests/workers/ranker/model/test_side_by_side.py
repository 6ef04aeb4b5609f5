import threading
from collections.abc import Iterator

import pytest
import torch

from workers.ranker.model.side_by_side import in_turn

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
