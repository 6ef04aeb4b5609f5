"""Retries of refused calls: after the delay that the server names, within the timeout and a budget.

A coordinator that refuses (RESOURCE_EXHAUSTED, UNAVAILABLE) says after how many seconds to come back. Jitter
keeps those it refused at once from coming back at once; the budget keeps retries from being most of the load.
"""

import random
import threading
import time
from collections.abc import Callable

from spr_client.errors import InvalidInput, Overloaded, SearchError, Unavailable

RETRIES = 3
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
        self._retries, self._budget = retries, Budget()

    def attempts(self, timeout: float | None, clock: Callable[[], float] = time.monotonic) -> "Attempts":
        """Begin a call of at most `timeout` seconds in all."""
        self._budget.called()
        return Attempts(self._retries, self._budget, timeout, clock)


class Attempts:
    """The attempts of one call."""

    def __init__(
        self, retries: int, budget: Budget, timeout: float | None, clock: Callable[[], float]
    ) -> None:
        self._retries, self._budget, self._clock = retries, budget, clock
        self._ends = None if timeout is None else clock() + timeout

    def left(self) -> float | None:
        """Return the seconds left for the next attempt, None without a limit."""
        return None if self._ends is None else max(0.001, self._ends - self._clock())

    def delay(self, error: SearchError) -> float:
        """Return the seconds to sleep before the next attempt; raise `error` where there is none."""
        told = error.retry_after if isinstance(error, Overloaded | Unavailable) and error.refused else None
        if told is None or not self._retries:
            raise error
        delay = told * (1 + random.random())
        if self._ends is not None and self._clock() + delay >= self._ends:
            raise error
        if not self._budget.take():
            raise error
        self._retries -= 1
        return delay
