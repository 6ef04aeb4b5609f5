"""Places for calls in flight: a bounded number, and who gets them."""

import asyncio
import threading
from collections import deque

from engine.errors import Overloaded


class Gate:
    """Counts calls in flight and refuses those beyond `limit`.

    `enter` and `leave` may be called from any thread; `wait` from the threads of one event loop alone, and
    then so must they.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._lock = threading.Lock()

    @property
    def full(self) -> bool:
        """Whether a call that came now would be refused."""
        return self._inside >= self.limit

    def refusal(self) -> Overloaded:
        """Return what a refused call is told."""
        return Overloaded(f"{self.limit} calls are in flight, which is the limit; try again")

    def enter(self) -> None:
        """Take a place; Overloaded if there is none."""
        with self._lock:
            if self.full:
                raise self.refusal()
            self._inside += 1

    def leave(self) -> None:
        """Give a place back, to the first that waits for one."""
        with self._lock:
            while self._waiting:
                waiter = self._waiting.popleft()
                if not waiter.done():
                    waiter.set_result(None)
                    return
            self._inside -= 1

    async def wait(self) -> None:
        """Take a place as soon as there is one, in order of arrival."""
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
                # The place came in the same moment.
                self.leave()
            raise
