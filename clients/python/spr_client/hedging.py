"""Which of several coordinators a client asks, and when it asks a second one too.

A search that takes longer than 95 % of the client's last ones is sent to another coordinator as well, and the
first answer is taken: "hedged requests" (Dean, Barroso: The Tail at Scale, CACM 2013). A coordinator that
loses so again and again is left for the one that won.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc
import grpc.aio

from spr.v1.search_service_pb2 import SearchRequest, SearchResponse
from spr.v1.search_service_pb2_grpc import SearchServiceStub

Reply = TypeVar("Reply")
_FOR_NOW = {
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.CANCELLED,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class Hedges:
    """The state of one client. Thread-safe. ways: how many coordinators there are. home: who is asked first.

    A twentieth of the searches is hedged at most, ten at once. patience: seconds before it.
    """

    SHARE, BURST = 0.05, 10.0
    WINDOW, ENOUGH, EVERY = 128, 20, 8  # answers that the quantile is of, that it needs, between two of it
    FIRST, SHORTEST = 1.0, 0.02  # seconds: before there are enough; at least
    LOSSES, FORGETS = 3.0, 1 / 16  # after which home moves; share forgotten with an answer of home

    def __init__(self, ways: int) -> None:
        self.ways, self.home, self.patience = ways, 0, self.FIRST
        self._left, self._lost, self._new, self._turn = self.BURST, 0.0, 0, 0
        self._seconds: deque[float] = deque(maxlen=self.WINDOW)
        self._lock = threading.Lock()

    def begin(self) -> tuple[int, float]:
        """Count a search; return whom to ask, and after how many seconds another one."""
        with self._lock:
            self._left = min(self.BURST, self._left + self.SHARE)
            return self.home, self.patience

    def other(self, first: int) -> int | None:
        """Return whom to ask beside `first`, each in turn; None where the budget is spent."""
        with self._lock:
            if self._left < 1:
                return None
            self._left -= 1
            self._turn = self._turn % (self.ways - 1) + 1
            return (first + self._turn) % self.ways

    def answered(self, seconds: float, first: int, by: int) -> None:
        """Record a search: whom it was sent to first, and who answered."""
        with self._lock:
            self._seconds.append(seconds)
            self._new += 1
            if len(self._seconds) >= self.ENOUGH and self._new >= self.EVERY:
                self._new, ranked = 0, sorted(self._seconds)
                self.patience = max(self.SHORTEST, ranked[int(0.95 * (len(ranked) - 1))])
            if first != self.home:
                return
            self._lost = self._lost + 1 if by != first else self._lost * (1 - self.FORGETS)
            if self._lost >= self.LOSSES:
                self.home, self._lost = by, 0.0


def search(
    hedges: Hedges, stub: Callable[[int], SearchServiceStub], request: SearchRequest, about: dict[str, Any]
) -> SearchResponse:
    """Return the first answer. stub: of one way, held as its channel is by it. about: of each call."""
    if hedges.ways == 1:
        alone: SearchResponse = stub(0).Search(request, **about)
        return alone
    first, patience = hedges.begin()
    began, ended, asked = time.monotonic(), queue.SimpleQueue[tuple[int, Any]](), list[Any]()

    def send(way: int) -> None:
        used = stub(way)
        asked.append((used, call := used.Search.future(request, **about)))
        call.add_done_callback(lambda call: ended.put((way, call)))

    try:
        send(first)
        try:
            by, call = ended.get(timeout=patience)
        except queue.Empty:
            if (second := hedges.other(first)) is not None:
                send(second)
            by, call = ended.get()
        if len(asked) > 1 and call.code() in _FOR_NOW:
            by, call = ended.get()
        reply: SearchResponse = call.result()
    finally:
        for _, one in asked:
            one.cancel()
    hedges.answered(time.monotonic() - began, first, by)
    return reply


async def search_async(hedges: Hedges, ask: Callable[[int], Awaitable[Reply]]) -> Reply:
    """Return the first answer. ask: sends the search one way, and returns a call of grpc.aio."""
    first, patience = hedges.begin()
    began, running = time.monotonic(), dict[asyncio.Task[Reply], int]()

    def send(way: int) -> None:
        running[asyncio.create_task(answer(ask(way)))] = way

    async def next_of(seconds: float | None) -> asyncio.Task[Reply] | None:
        done, _ = await asyncio.wait(running, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        # Of two that are there at once, one that is an answer.
        return min(done, key=lambda task: task.exception() is not None, default=None)

    try:
        send(first)
        ended = await next_of(patience)
        if ended is None and (second := hedges.other(first)) is not None:
            send(second)
        ended = ended or await next_of(None)
        assert ended is not None
        others, error = [task for task in running if task is not ended], ended.exception()
        if others and isinstance(error, grpc.aio.AioRpcError) and error.code() in _FOR_NOW:
            (ended,) = others
            await asyncio.wait(others)
        reply = ended.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    hedges.answered(time.monotonic() - began, first, running[ended])
    return reply


async def answer(call: Awaitable[Reply]) -> Reply:
    """Return what a unary call of grpc.aio answers; cancelled, cancel the call.

    A call whose own task is cancelled loses the memory of its batch (github.com/grpc/grpc/issues/43360). So
    the task is left to end by itself, and the call is cancelled below it.
    """
    of: Any = call
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    of.add_done_callback(lambda _: None if over.done() else over.set_result(None))
    try:
        await over
    except asyncio.CancelledError:
        # `_cancel` is private to grpc.aio; without it there is `cancel`, which loses those bytes.
        below = getattr(of, "_cancel", lambda _: of.cancel())
        below("nobody waits for the answer any more")
        raise
    return await call
