"""Who runs, who waits and who is refused: admission by cost, time left and fair share. Pure bookkeeping.

Times are seconds of a monotonic clock that the caller reads. Cost is in units (`cost_of`): 1 for a search
with the default options.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from engine.errors import Overloaded
from engine.pace import Concurrency, Pace

PART = 0.5  # of the time left that the expected wait may take: estimates are off by half at times
BATCHED = 16  # times the limit: units that batches may have in hand
LEAST_RETRY, MOST_RETRY = 0.1, 5.0  # seconds
UNKNOWN_RETRY = 0.5  # before any pace is known


class State(Enum):
    """Of a ticket."""

    WAITING = "waiting"
    RUNNING = "running"
    REFUSED = "refused"


@dataclass(eq=False, slots=True)
class Ticket:
    """A search's place. ends: when its caller's time is over. given: how long that was, of a batch in all.

    wake: called when the state changes later.
    """

    caller: str
    cost: float
    ends: float
    given: float
    batch: bool = False
    state: State = State.WAITING
    began: float = 0.0
    wake: Callable[[], None] = lambda: None


class _Held:
    """Units by caller; a caller without any is forgotten."""

    def __init__(self) -> None:
        self.of: dict[str, float] = {}
        self.total = 0.0

    def add(self, caller: str, cost: float) -> None:
        self.total += cost
        self.of[caller] = self.of.get(caller, 0.0) + cost
        if self.of[caller] < 1e-6:
            del self.of[caller]
        if not self.of:
            self.total = 0.0  # no rounding stays


class _Waiting:
    """Tickets by caller, each caller's first in, first out."""

    def __init__(self) -> None:
        self._of: dict[str, deque[Ticket]] = {}
        self.held = _Held()

    def add(self, ticket: Ticket) -> None:
        self._of.setdefault(ticket.caller, deque()).append(ticket)
        self.held.add(ticket.caller, ticket.cost)

    def remove(self, ticket: Ticket) -> None:
        mine = self._of[ticket.caller]
        mine.remove(ticket)
        self.held.add(ticket.caller, -ticket.cost)
        if mine:
            # The next of this caller comes after those of all others that have as much running.
            self._of[ticket.caller] = self._of.pop(ticket.caller)
        else:
            del self._of[ticket.caller]

    def next(self, running: _Held) -> Ticket | None:
        """Return the oldest ticket of the caller that has least running."""
        if not self._of:
            return None
        return self._of[min(self._of, key=lambda caller: running.of.get(caller, 0.0))][0]

    def newest_of(self, caller: str) -> Ticket:
        return self._of[caller][-1]


class Line:
    """The searches of a collection: at most `limit` units run or wait, and what batches have in hand.

    A caller alone may take all of it. Where it is full, a caller with less than its share gets room: of the
    newest that waits of the caller who has most, or beyond the limit, at most as much again.
    """

    def __init__(self, limit: float) -> None:
        self.limit = float(max(1, limit))
        self.pace, self.concurrency = Pace(), Concurrency(self.limit)
        self.refused = 0
        self._running, self._batches_running = _Held(), 0.0
        self._singles, self._batches = _Waiting(), _Waiting()
        self._promised = _Held()
        self._pressed = False

    @property
    def inside(self) -> float:
        """Return the units that run."""
        return self._running.total

    @property
    def waiting(self) -> float:
        """Return the units that wait."""
        return self._singles.held.total + self._batches.held.total

    @property
    def busy(self) -> bool:
        """Whether a further search may be refused or has to wait."""
        return self._singles.held.total > 0 or self._running.total >= min(
            self.limit, self.concurrency.allowed
        )

    def refusal(self, caller: str, left: float, cost: float = 1.0) -> Overloaded | None:
        """Return why a search with so many seconds left is refused now, None where it is not."""
        mine, waiting = self._singles.held.of.get(caller, 0.0), self._singles.held
        callers = len(waiting.of) + (caller not in waiting.of)
        ahead = self._running.total + min(waiting.total, mine * callers)
        expected = ahead * self.pace.seconds
        if expected > PART * left:
            self._pressed = True
            return self._refuse("searches wait, longer than this one's deadline allows")
        if not self._full(cost) or self._has_share(caller, cost):
            return None
        return self._refuse(f"{self.limit:g} searches are in flight, which is the limit")

    def enter(self, ticket: Ticket, now: float) -> None:
        """Let a search run or wait; Overloaded if it is refused. Batches have been let in by `promise`."""
        if not ticket.batch:
            refusal = self.refusal(ticket.caller, ticket.ends - now, ticket.cost)
            if refusal is not None:
                self.refused += 1
                raise refusal
            if self._full(ticket.cost) and (victim := self._victim(ticket.caller, ticket.cost)):
                self._singles.remove(victim)
                self._turn_away(victim)
        (self._batches if ticket.batch else self._singles).add(ticket)
        self._grant(now)

    def leave(self, ticket: Ticket, now: float, answered: bool) -> None:
        """End a search, whether it runs or still waits."""
        if ticket.state is State.WAITING:
            (self._batches if ticket.batch else self._singles).remove(ticket)
        elif ticket.state is State.RUNNING:
            took, running = now - ticket.began, self._running.total
            if answered:
                self.concurrency.answered(took)
            self.concurrency.ended(ticket.began, ticket.given, running, now)
            self._running.add(ticket.caller, -ticket.cost)
            self._batches_running -= ticket.cost * ticket.batch
            if answered:
                self.pace.answered(ticket.cost, took, now)
        self._grant(now)

    def promise(self, caller: str, cost: float, left: float) -> None:
        """Take a batch of so many units in hand; Overloaded if it cannot be done in the time left."""
        promised = self._promised
        callers = len(promised.of) + (caller not in promised.of)
        mine = promised.of.get(caller, 0.0) + cost
        ahead = self._running.total + min(promised.total + cost, mine * callers)
        late = bool(promised.total) and ahead * self.pace.seconds > PART * left
        most = BATCHED * self.limit
        if late or (promised.total and promised.total + cost > most and mine > most / callers):
            self.refused += 1
            raise self._refuse(f"batches with {promised.total:g} queries are in hand")
        promised.add(caller, cost)

    def release(self, caller: str, cost: float) -> None:
        """Give back what was promised."""
        self._promised.add(caller, -cost)

    def _full(self, cost: float) -> bool:
        total = self._running.total + self._singles.held.total
        return total > 0 and total + cost > self.limit

    def _has_share(self, caller: str, cost: float) -> bool:
        """Whether a caller gets room although it is full."""
        callers = len(self._running.of.keys() | self._singles.held.of.keys() | {caller})
        if self._of(caller) + cost > self.limit / callers:
            return False
        return self._singles.held.total + cost <= self.limit or self._victim(caller, cost) is not None

    def _victim(self, caller: str, cost: float) -> Ticket | None:
        """Return the newest that waits of the caller who has most; None: nobody has more than this one."""
        others = [other for other in self._singles.held.of if self._of(other) > self._of(caller) + cost]
        return self._singles.newest_of(max(others, key=self._of)) if others else None

    def _of(self, caller: str) -> float:
        """Return the units that a caller has here."""
        return self._running.of.get(caller, 0.0) + self._singles.held.of.get(caller, 0.0)

    def _grant(self, now: float) -> None:
        """Let run what may."""
        while (ticket := self._next()) is not None:
            (self._batches if ticket.batch else self._singles).remove(ticket)
            if ticket.ends - now < self.concurrency.quickest < float("inf"):
                # Nobody would read its answer.
                self._turn_away(ticket)
                continue
            ticket.state, ticket.began = State.RUNNING, now
            self._running.add(ticket.caller, ticket.cost)
            self._batches_running += ticket.cost * ticket.batch
            ticket.wake()
        # Also what is turned away shows that there is more to do; or a bad pace would stay.
        self._pressed = self._pressed and self._running.total > 0
        backlog = self._pressed or self.busy or self._batches.held.total > 0
        self.pace.working(backlog, now)

    def _next(self) -> Ticket | None:
        room = self.concurrency.allowed - self._running.total
        single, batch = self._singles.next(self._running), self._batches.next(self._running)
        half = max(1.0, self.concurrency.allowed / 2)
        if batch and self._batches_running and self._batches_running + batch.cost > half:
            batch = None
        # Neither may starve the other; batches together have half at most.
        singles_running = self._running.total - self._batches_running
        first = batch if single is None or (batch and self._batches_running < singles_running) else single
        fits = first is not None and (first.cost <= room or not self._running.total)
        return first if fits else None

    def _turn_away(self, ticket: Ticket) -> None:
        self.refused += 1
        ticket.state = State.REFUSED
        ticket.wake()

    def _refuse(self, why: str) -> Overloaded:
        return Overloaded(f"{why}; try again", retry_after=self.retry_after())

    def retry_after(self) -> float:
        """Return the seconds after which to try again: when what is here now is done."""
        here = self._running.total + self._singles.held.total
        wait = here * self.pace.seconds if self.pace.seconds else UNKNOWN_RETRY
        return round(min(max(wait, LEAST_RETRY), MOST_RETRY), 1)
