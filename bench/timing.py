"""Medians of many runs after a warm-up, in milliseconds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Laps:
    """Milliseconds of every run, sorted."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle run."""
        return self.share(0.5)

    def share(self, part: float) -> float:
        """Return the milliseconds that `part` (0..1) of the runs stay below."""
        return float(np.quantile(self.values, part))


def laps(work: Callable[[int], Any], runs: int, *, warm: int = 2, seconds: float = 20.0) -> Laps:
    """Time `work(run)` for run 0, 1, ...: `runs` times, fewer (at least 3) when `seconds` are over.

    warm: runs before that do not count.
    """
    for run in range(warm):
        work(run)
    values: list[float] = []
    ends = time.perf_counter() + seconds
    for run in range(runs):
        began = time.perf_counter()
        work(run)
        values.append(1000 * (time.perf_counter() - began))
        if time.perf_counter() > ends and run >= 2:
            break
    return Laps(tuple(sorted(values)))
