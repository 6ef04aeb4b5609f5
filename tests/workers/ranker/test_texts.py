import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from engine.errors import DeadlineExceeded, InvalidInput
from engine.queries import LONGEST_TEXT
from engine.types import EncodedQuery
from workers.ranker.batching import bounded
from workers.ranker.texts import CachedTextEncoder, TextCache


def vectors(text: str) -> EncodedQuery:
    row = np.full(4, len(text), np.float32)
    return EncodedQuery(row, np.ones((2, 4), np.float32), row, "model")


class Tower:
    """Encodes when it is let; remembers the batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.began, self.go_on = threading.Event(), threading.Event()
        self.go_on.set()

    def __call__(self, texts: Sequence[str]) -> list[EncodedQuery]:
        self.batches.append(list(texts))
        self.began.set()
        assert self.go_on.wait(300)
        if "bad" in texts:
            raise ValueError("bad text")
        return [vectors(text) for text in texts]


def until(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        threading.Event().wait(0.001)
    raise AssertionError("it never happened")


def waiting_for(texts: CachedTextEncoder[EncodedQuery], text: str) -> int:
    flight = texts._flights.get(text)
    return flight.waiting if flight else 0


def test_a_text_is_computed_once_and_remembered() -> None:
    tower = Tower()
    texts = CachedTextEncoder(tower)
    first = texts.encode("a ball")
    assert texts.encode("a ball") is first
    assert tower.batches == [["a ball"]]


def test_callers_of_the_same_text_share_one_computation() -> None:
    tower = Tower()
    tower.go_on.clear()
    texts = CachedTextEncoder(tower)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(texts.encode, "a ball") for _ in range(8)]
        until(lambda: waiting_for(texts, "a ball") == 8)
        tower.go_on.set()
        found = {id(answer.result(10)) for answer in answers}
    assert len(found) == 1
    assert tower.batches == [["a ball"]]


def test_different_texts_that_wait_are_computed_together() -> None:
    tower = Tower()
    tower.go_on.clear()
    texts = CachedTextEncoder(tower, max_delay=0.0)
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(texts.encode, "first")
        assert tower.began.wait(300)
        others = [pool.submit(texts.encode, f"text {number}") for number in range(5)]
        until(lambda: texts._batcher.waiting == 5)
        tower.go_on.set()
        assert first.result(10).embedding[0] == 5
        assert [other.result(10).embedding[0] for other in others] == [6] * 5
    assert tower.batches[0] == ["first"]
    assert sorted(tower.batches[1]) == [f"text {number}" for number in range(5)]


def test_a_failure_reaches_its_callers_and_is_not_remembered() -> None:
    tower = Tower()
    texts = CachedTextEncoder(tower)
    for _ in range(2):
        with pytest.raises(ValueError, match="bad text"):
            texts.encode("bad")
    assert tower.batches == [["bad"], ["bad"]]
    assert texts.encode("good").embedding[0] == 4


def test_an_impatient_caller_does_not_take_the_answer_from_a_patient_one() -> None:
    tower = Tower()
    tower.go_on.clear()
    texts = CachedTextEncoder(tower)
    with ThreadPoolExecutor(1) as pool:
        patient = pool.submit(texts.encode, "a ball")
        assert tower.began.wait(300)
        with pytest.raises(DeadlineExceeded):
            texts.encode("a ball", timeout=0.01)
        tower.go_on.set()
        assert patient.result(10).embedding[0] == 6


def test_what_nobody_waits_for_is_not_computed() -> None:
    tower = Tower()
    tower.go_on.clear()
    texts = CachedTextEncoder(tower)
    with ThreadPoolExecutor(1) as pool:
        busy = pool.submit(texts.encode, "busy")
        assert tower.began.wait(300)
        with pytest.raises(DeadlineExceeded):
            texts.encode("given up", timeout=0.01)
        tower.go_on.set()
        busy.result(10)
    texts.encode("last")
    assert tower.batches == [["busy"], ["last"]]
    assert texts.encode("given up").embedding[0] == 8


def test_a_text_whose_coroutines_are_all_cancelled_is_not_computed() -> None:
    tower = Tower()
    tower.go_on.clear()
    texts = CachedTextEncoder(tower)

    async def run() -> float:
        tasks = [asyncio.create_task(texts.soon("busy"))]
        await asyncio.to_thread(tower.began.wait, 300)
        tasks += [asyncio.create_task(texts.soon(text)) for text in ("gone", "gone", "kept", "kept")]
        await asyncio.sleep(0)
        for task in tasks[1:4]:
            task.cancel()
        await asyncio.gather(*tasks[1:4], return_exceptions=True)
        tower.go_on.set()
        return float((await tasks[4]).embedding[0])

    assert asyncio.run(run()) == 4
    assert tower.batches == [["busy"], ["kept"]]


@pytest.mark.parametrize("text", ["", " \n", "x" * (LONGEST_TEXT + 1)])
def test_empty_and_endless_texts_are_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        CachedTextEncoder(Tower()).encode(text)


def test_the_cache_is_bounded_in_texts_and_in_bytes() -> None:
    size = 64  # two rows of four float32 and as much of token states
    cache: TextCache[EncodedQuery] = TextCache(3, 10 * size)
    for name in "abcd":
        cache[name] = vectors(name)
        cache.get("a")
    assert [cache.get(name) is not None for name in "abcd"] == [True, False, True, True]
    assert cache.currsize == 3 * size
    cache["a"] = vectors("a")
    assert (len(cache), cache.currsize) == (3, 3 * size)
    small: TextCache[EncodedQuery] = TextCache(100, 2 * size)
    for name in "abcd":
        small[name] = vectors(name)
    assert (len(small), small.currsize) == (2, 2 * size)
    none: TextCache[EncodedQuery] = TextCache(0, 0)
    none["a"] = vectors("a")
    assert (len(none), none.currsize) == (0, 0)


def test_no_deadline_is_a_wait_that_locks_take() -> None:
    assert bounded(None) == bounded(1e12) == 600.0
    assert bounded(-1.0) == 0.0
