"""Deadlines: the caller's, capped by the server's."""

import time
from dataclasses import dataclass

from engine.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Deadline:
    """A time on the monotonic clock; the last `reserve` seconds before it are kept for the reply.

    given: seconds that there were in all.
    """

    at: float
    reserve: float
    given: float

    @classmethod
    def start(cls, remaining: float | None, longest: float, reserve: float) -> "Deadline":
        """Begin with the caller's `remaining` seconds (None: it set no limit), at most `longest`."""
        seconds = longest if remaining is None else min(remaining, longest)
        return cls(time.monotonic() + seconds, min(reserve, seconds / 4), seconds)

    def left(self) -> float:
        """Return the time budget left for work, in seconds; DeadlineExceeded if it is spent."""
        left = self.at - self.reserve - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("the deadline passed before there was an answer; give it more time")
        return left
