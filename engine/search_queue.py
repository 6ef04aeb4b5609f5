"""The queue of a collection's searches, in an event loop: `Line` decides, coroutines wait for their turn."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

from engine.deadline import Deadline
from engine.errors import DeadlineExceeded, Overloaded
from engine.line import Line, State, Ticket


class SearchQueue:
    """Places for searches. Belongs to one event loop. limit: units of cost that run or wait."""

    def __init__(self, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.line = Line(limit)
        self._clock = clock

    @contextlib.asynccontextmanager
    async def place(
        self, caller: str, deadline: Deadline, cost: float = 1.0, batch: bool = False
    ) -> AsyncIterator[None]:
        """Hold a place as soon as it is the caller's turn; Overloaded at once where that would be late."""
        now, left = self._clock(), deadline.left()
        ticket = Ticket(caller, cost, now + left, deadline.given, batch)
        self.line.enter(ticket, now)
        answered = False
        try:
            if ticket.state is State.WAITING:
                await self._turn(ticket, left)
            yield
            answered = True
        finally:
            self.line.leave(ticket, self._clock(), answered)

    @contextlib.contextmanager
    def promised(self, caller: str, deadline: Deadline, cost: float) -> Iterator[None]:
        """Have a batch of so much cost in hand; Overloaded if it cannot be done in time."""
        self.line.promise(caller, cost, deadline.left())
        try:
            yield
        finally:
            self.line.release(caller, cost)

    async def _turn(self, ticket: Ticket, left: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        ticket.wake = lambda: None if turn.done() else turn.set_result(None)
        try:
            async with asyncio.timeout(left):
                await turn
        except TimeoutError:
            message = "the deadline passed while the query waited for its turn; give it more time"
            raise DeadlineExceeded(message) from None
        if ticket.state is State.REFUSED:
            message = "the search waited, and would not have ended in time; try again"
            raise Overloaded(message, retry_after=self.line.retry_after())
