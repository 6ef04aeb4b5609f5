"""Medians of many runs after a warm-up, in milliseconds."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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


def in_turn(
    works: Sequence[Callable[[int], Any]], runs: int, *, rounds: int = 8, warm: int = 16
) -> list[Laps]:
    """Time works that are compared with one another: in each round a few runs of each, `runs` in all.

    A machine's speed drifts within minutes: so it is the same for all of them. warm: runs of every round
    that do not count.
    """
    values: list[list[float]] = [[] for _ in works]
    each = math.ceil(runs / rounds)
    for start in range(0, runs, each):
        for found, work in zip(values, works, strict=True):
            found += laps(partial(_from, work, start), each, warm=warm).values
    return [Laps(tuple(sorted(found))) for found in values]


def _from(work: Callable[[int], Any], start: int, run: int) -> Any:
    return work(start + run)
