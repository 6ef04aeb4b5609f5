"""Admission control: a bounded number of calls in flight, and a FIFO queue of those that may wait."""

import asyncio
import threading
from collections import deque

from engine.errors import Overloaded


class Admission:
    """A non-blocking semaphore: counts calls in flight and refuses those beyond `limit`.

    `enter` and `leave` are thread-safe. As soon as anybody uses `wait`, all three belong to the thread of its
    event loop.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.refused = 0  # calls so far
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether the next call is refused."""
        return self._inside >= self.limit

    @property
    def inside(self) -> int:
        """Return how many slots are taken."""
        return self._inside

    @property
    def waiting(self) -> int:
        """Return how many calls wait for a slot."""
        return len(self._waiting)

    def refusal(self) -> Overloaded:
        """Return the error of a refused call, and count it."""
        self.refused += 1
        return Overloaded(f"{self.limit} calls are in flight, which is the limit; try again")

    def enter(self) -> None:
        """Take a slot; Overloaded if all are taken."""
        with self._lock:
            if self.full:
                raise self.refusal()
            self._inside += 1

    def leave(self) -> None:
        """Release a slot: to the first waiter, if there is one."""
        with self._lock:
            while self._waiting:
                waiter = self._waiting.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
            self._inside -= 1

    async def wait(self) -> None:
        """Take a slot as soon as one is free, first in first out."""
        with self._lock:
            if not self.full:
                self._inside += 1
                return
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled():
                # The slot was handed over before the cancellation arrived.
                self.leave()
            raise
