"""What each stage of a search takes."""

import time


class Stopwatch:
    """The stages of one search and the seconds each took."""

    def __init__(self) -> None:
        self._last = time.perf_counter()
        self._laps: list[tuple[str, float]] = []

    def lap(self, stage: str, parts: tuple[tuple[str, float], ...] = ()) -> None:
        """End a stage. parts: (name, seconds) of what ran in it."""
        now = time.perf_counter()
        self._laps += [(stage, now - self._last), *parts]
        self._last = now

    def laps(self) -> tuple[tuple[str, float], ...]:
        """Return (stage, seconds) in the order they ran."""
        return tuple(self._laps)
