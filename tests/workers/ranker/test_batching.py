import asyncio
import threading
import weakref
from collections.abc import Callable, Sequence

import pytest

from engine.errors import DeadlineExceeded, Overloaded
from workers.ranker.batching import Batcher


def test_waiting_calls_are_computed_together() -> None:
    started, go_on = threading.Event(), threading.Event()
    batches: list[list[int]] = []

    def double(items: Sequence[int]) -> list[int]:
        started.set()
        assert go_on.wait(300)
        batches.append(list(items))
        return [2 * item for item in items]

    batcher = Batcher(double, max_batch=3, max_delay=0.0)
    answers: dict[int, int] = {}
    threads = [threading.Thread(target=lambda i=i: answers.update({i: batcher(i)})) for i in range(8)]
    threads[0].start()
    assert started.wait(300)
    for thread in threads[1:]:
        thread.start()
    while batcher.waiting < 7:
        threading.Event().wait(0.001)
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert answers == {i: 2 * i for i in range(8)}
    assert [len(batch) for batch in batches] == [1, 3, 3, 1]


def test_every_caller_of_a_failed_batch_learns_why() -> None:
    def fail(items: Sequence[int]) -> list[int]:
        raise ValueError(f"cannot compute {list(items)}")

    batcher = Batcher(fail, max_batch=4, max_delay=0.0)
    for item in (1, 2):
        with pytest.raises(ValueError, match="cannot compute"):
            batcher(item)


def test_a_call_does_not_outlive_its_deadline() -> None:
    go_on = threading.Event()

    def slow(items: Sequence[int]) -> list[int]:
        assert go_on.wait(300)
        return list(items)

    batcher = Batcher(slow, max_batch=1, max_delay=0.0)
    with pytest.raises(DeadlineExceeded):
        batcher(1, timeout=0.01)
    go_on.set()
    assert batcher(2, timeout=10) == 2


def test_what_a_coroutine_no_longer_waits_for_is_not_computed() -> None:
    started, go_on = threading.Event(), threading.Event()
    computed: list[str] = []

    def slow(items: Sequence[str]) -> list[str]:
        started.set()
        assert go_on.wait(300)
        computed.extend(items)
        return list(items)

    async def run() -> str:
        batcher = Batcher(slow, max_batch=1, max_delay=0.0)
        first, gone, last = (asyncio.create_task(batcher.soon(name)) for name in ("first", "gone", "last"))
        await asyncio.to_thread(started.wait, 300)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        go_on.set()
        await first
        return await last

    assert asyncio.run(run()) == "last"
    assert computed == ["first", "last"]


def test_a_call_that_would_wait_longer_than_it_can_is_refused_at_once() -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(items: Sequence[int]) -> list[int]:
        started.set()
        assert go_on.wait(300)
        return list(items)

    batcher = Batcher(slow, max_batch=1, max_delay=0.0)
    batcher._pace.seconds = 2.0
    first = batcher.submit(0)
    assert started.wait(300)
    waiting = [batcher.submit(item, timeout=10.0) for item in range(3)]
    with pytest.raises(Overloaded) as refusal:
        batcher(4, timeout=5.0)
    assert refusal.value.retry_after == 6.0
    go_on.set()
    assert [future.result(10) for future in (first, *waiting)] == [0, 0, 1, 2]


def test_its_thread_ends_with_it_and_holds_no_call_until_then() -> None:
    class Item:
        """What can be referred to weakly."""

    before = set(threading.enumerate())
    batcher: Batcher[Item, Item] = Batcher(list, max_batch=4, max_delay=0.0)
    item = Item()
    seen = weakref.ref(item)
    assert batcher(item) is item
    del item
    until(lambda: seen() is None)
    assert len(set(threading.enumerate()) - before) == 1
    del batcher
    until(lambda: set(threading.enumerate()) <= before)


def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it never happened")
