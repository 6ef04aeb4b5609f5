"""Coroutines that wait for their turn, and go."""

import asyncio

import pytest

from engine.deadline import Deadline
from engine.errors import DeadlineExceeded
from engine.search_queue import SearchQueue


def soon() -> Deadline:
    return Deadline.start(300.0, 300.0, 0.0)


async def waited(queue: SearchQueue, name: str, order: list[str], hold: asyncio.Event | None = None) -> None:
    async with queue.place("one", soon()):
        order.append(name)
        if hold is not None:
            await hold.wait()


def test_places_go_to_those_that_wait_in_their_order_and_past_those_that_went() -> None:
    async def run() -> list[str]:
        queue, order, hold = SearchQueue(8), list[str](), asyncio.Event()
        queue.line.concurrency.allowed = 1.0
        names = ("first", "gone", "second", "third")
        tasks = [asyncio.create_task(waited(queue, name, order, hold)) for name in names]
        await asyncio.sleep(0)
        tasks[1].cancel()
        hold.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not queue.line.busy
        return order

    assert asyncio.run(run()) == ["first", "second", "third"]


def test_a_place_that_comes_as_its_caller_goes_is_passed_on() -> None:
    async def run() -> list[str]:
        queue, order, hold = SearchQueue(8), list[str](), asyncio.Event()
        queue.line.concurrency.allowed = 1.0
        first, gone, last = (
            asyncio.create_task(waited(queue, name, order, hold)) for name in ("first", "gone", "last")
        )
        await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)  # the place is given to the second
        gone.cancel()
        hold.set()
        await asyncio.gather(first, gone, last, return_exceptions=True)
        assert not queue.line.busy
        return order

    assert asyncio.run(run()) == ["first", "last"]


def test_who_waits_until_the_deadline_is_told() -> None:
    async def run() -> None:
        queue = SearchQueue(8)
        queue.line.concurrency.allowed = 1.0
        async with queue.place("one", soon()):
            with pytest.raises(DeadlineExceeded, match="waited for its turn"):
                async with queue.place("one", Deadline.start(0.01, 10.0, 0.0)):
                    pass
        assert not queue.line.busy

    asyncio.run(run())
