"""Calls of the last minute: how many and how long they took, in O(1) a call and bounded memory.

A ring of one histogram a second. Buckets are a quarter of an octave wide, so that a quantile is right to
within a tenth. Times are seconds of the monotonic clock.
"""

import math
import time
from array import array
from dataclasses import dataclass

SECONDS = 60
RATE_SECONDS = 10
_BUCKETS, _AN_OCTAVE = 80, 4
_SHORTEST = 1e-4  # seconds; the longest is 20 octaves above, 100 s
_EMPTY = array("I", bytes(4 * _BUCKETS))


@dataclass(frozen=True, slots=True)
class Summary:
    """per_second: calls, of the last ten seconds. p50, p99: seconds, of the last minute; None without one."""

    per_second: float
    p50: float | None
    p99: float | None


class Recent:
    """The calls of one worker, or the searches of one collection. Belongs to one thread; 20 kB."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._second = int(self._began)
        self._buckets = [_EMPTY[:] for _ in range(SECONDS)]
        self._counts = [0] * SECONDS

    def record(self, seconds: float, now: float | None = None) -> None:
        """Count a call that has ended after so many seconds. now: a later time than any before."""
        slot = self._turn(time.monotonic() if now is None else now)
        place = int(_AN_OCTAVE * math.log2(max(seconds, _SHORTEST) / _SHORTEST))
        self._buckets[slot][min(place, _BUCKETS - 1)] += 1
        self._counts[slot] += 1

    def summary(self, now: float | None = None) -> Summary:
        """Return the rate and the quantiles as they are now."""
        now = time.monotonic() if now is None else now
        self._turn(now)
        newest = [self._counts[(self._second - age) % SECONDS] for age in range(RATE_SECONDS)]
        covered = min(now - self._began, RATE_SECONDS - 1 + now % 1)
        totals = [sum(column) for column in zip(*self._buckets, strict=True)]
        return Summary(sum(newest) / max(1.0, covered), _quantile(totals, 0.5), _quantile(totals, 0.99))

    def _turn(self, now: float) -> int:
        """Empty the slots of the seconds that have passed; return that of now."""
        second = int(now)
        if second == self._second:
            return second % SECONDS
        for passed in range(max(self._second, second - SECONDS) + 1, second + 1):
            self._buckets[passed % SECONDS][:] = _EMPTY
            self._counts[passed % SECONDS] = 0
        self._second = max(self._second, second)
        return self._second % SECONDS


def _quantile(totals: list[int], share: float) -> float | None:
    """Return the middle of the bucket that a share of all calls reaches."""
    wanted = max(1, math.ceil(share * sum(totals)))
    for place, count in enumerate(totals):
        wanted -= count
        if wanted <= 0:
            return float(_SHORTEST * 2 ** ((place + 0.5) / _AN_OCTAVE))
    return None
