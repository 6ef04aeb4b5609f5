"""The time a search has left: the caller's, and never more than the server allows."""

import time
from dataclasses import dataclass

from engine.errors import DeadlineExceeded


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of the monotonic clock, and the `reserve` seconds before it that are kept for the reply."""

    at: float
    reserve: float

    @classmethod
    def start(cls, remaining: float | None, longest: float, reserve: float) -> "Deadline":
        """Begin with the caller's `remaining` seconds (None: it set no limit), at most `longest`."""
        seconds = longest if remaining is None else min(remaining, longest)
        return cls(time.monotonic() + seconds, min(reserve, seconds / 4))

    def left(self) -> float:
        """Return the seconds that work may still take; DeadlineExceeded if there are none."""
        left = self.at - self.reserve - time.monotonic()
        if left <= 0:
            raise DeadlineExceeded("the deadline passed before there was an answer; give it more time")
        return left
