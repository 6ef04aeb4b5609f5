"""Retries of refused calls: after the delay that the server names, within the timeout and a budget.

A coordinator that refuses (RESOURCE_EXHAUSTED, UNAVAILABLE) says after how many seconds to come back. Jitter
keeps those it refused at once from coming back at once; the budget keeps retries from being most of the load.

Where nobody answers, a coordinator that answered before is being started again: it is asked again too, and
outside the budget, for who is not there has no load. A client that was never answered, or whose last call
waited in vain, is told at once.
"""

import math
import random
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from spr_client.errors import InvalidInput, Overloaded, SearchError, Unavailable

Reply = TypeVar("Reply")
RETRIES = 3
AWAY = 0.5  # seconds, or up to twice that, until one that is started again is asked again
BURST, SHARE = 10.0, 0.1  # retries in a row that a client may make, and how many a call adds


class Budget:
    """Token bucket of a client's retries. Thread-safe."""

    def __init__(self) -> None:
        self._left = BURST
        self._lock = threading.Lock()

    def called(self) -> None:
        """Record a call: it adds a tenth of a retry."""
        with self._lock:
            self._left = min(BURST, self._left + SHARE)

    def take(self) -> bool:
        """Spend a retry; False if none is left."""
        with self._lock:
            if self._left < 1:
                return False
            self._left -= 1
            return True


class Retries:
    """How often a client asks again. retries: of one call; 0: never."""

    def __init__(self, retries: int = RETRIES) -> None:
        if not isinstance(retries, int) or isinstance(retries, bool) or not 0 <= retries <= 100:
            message = f"retries is {str(retries)[:80]}; give a whole number from 0 (never) to 100"
            raise InvalidInput(message, "BAD_PARAMETER")
        self._retries, self.budget = retries, Budget()
        # Whether the last call was answered, if only by a refusal.
        self.answered = False

    def attempts(self, timeout: float | None, clock: Callable[[], float] = time.monotonic) -> "Attempts":
        """Begin a call of at most `timeout` seconds in all."""
        self.budget.called()
        return Attempts(self, self._retries, timeout, clock)


class Attempts:
    """The attempts of one call."""

    def __init__(self, of: Retries, retries: int, timeout: float | None, clock: Callable[[], float]) -> None:
        self._of, self._retries, self._clock = of, retries, clock
        self._ends = None if timeout is None else clock() + timeout
        self._waited = False

    def left(self) -> float | None:
        """Return the seconds left for the next attempt, None without a limit."""
        return None if self._ends is None else max(0.001, self._ends - self._clock())

    def delay(self, error: SearchError) -> float:
        """Return the seconds to sleep before the next attempt; raise `error` where there is none."""
        self._of.answered |= error.refused
        told = self._told(error)
        delay = told * (1 + random.random()) if told is not None and self._retries else math.inf
        late = delay == math.inf or (self._ends is not None and self._clock() + delay >= self._ends)
        if late or (error.refused and not self._of.budget.take()):
            if _gone(error) and self._waited:
                self._of.answered = False
            raise error
        self._retries -= 1
        self._waited = True
        return delay

    def _told(self, error: SearchError) -> float | None:
        """Return seconds until asking again is of use, None where it is not."""
        if _gone(error):
            return AWAY if self._of.answered else None
        return error.retry_after if isinstance(error, Overloaded | Unavailable) else None

    def answered(self, reply: Reply) -> Reply:
        """Note that an answer has come, and return it."""
        self._of.answered = True
        return reply


def _gone(error: SearchError) -> bool:
    """Tell whether nobody answered."""
    return isinstance(error, Unavailable) and not error.refused
