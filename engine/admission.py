"""Admission control by count: a bounded number of calls in flight. Searches are admitted by cost: line.py."""

import threading
from typing import Any, Protocol

from engine.errors import Overloaded


class Gate(Protocol):
    """Lets calls in. `busy` and `refusal` are asked before a call is read."""

    @property
    def busy(self) -> bool:
        """Whether a next call may be refused: where not, nobody asks further."""

    def refusal(self, context: Any) -> Overloaded | None:
        """Return why a call is refused, None where it is not."""

    def enter(self) -> None:
        """Take a slot for a call that was read; Overloaded if there is none."""

    def leave(self) -> None:
        """Release a slot."""


class Counts(Protocol):
    """What admission control says of itself, in calls or in units of cost. refused: so far."""

    limit: Any
    refused: int

    @property
    def inside(self) -> float:
        """Return what runs."""

    @property
    def waiting(self) -> float:
        """Return what waits."""


class Admission:
    """A non-blocking, thread-safe semaphore: counts calls in flight and refuses those beyond `limit`."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.refused = 0  # calls so far
        self._inside = 0
        self._lock = threading.Lock()

    @property
    def busy(self) -> bool:
        """Whether the next call is refused."""
        return self._inside >= self.limit

    @property
    def inside(self) -> int:
        """Return how many slots are taken."""
        return self._inside

    @property
    def waiting(self) -> int:
        """Return how many calls wait for a slot: none does."""
        return 0

    def refusal(self, context: Any) -> Overloaded | None:
        """Return the error of a refused call."""
        return self._refused() if self.busy else None

    def enter(self) -> None:
        """Take a slot; Overloaded if all are taken."""
        with self._lock:
            if self.busy:
                raise self._refused()
            self._inside += 1

    def leave(self) -> None:
        """Release a slot."""
        with self._lock:
            self._inside -= 1

    def _refused(self) -> Overloaded:
        self.refused += 1
        return Overloaded(f"{self.limit} calls are in flight, which is the limit; try again")
