"""How fast searches are answered, and how many at once that takes: measured while they are.

Pure bookkeeping. Times are seconds of a monotonic clock that the caller reads; cost is in units (`cost_of`),
1 for a search with the default options.
"""

import math


class Pace:
    """Seconds between one unit of cost and the next while work waits; 0 until that is known.

    A backlog multiplied by it is the time until the backlog is done.
    """

    WINDOW, LEAST = 0.25, 4.0  # of a measurement: seconds, units
    WEIGHT, WEIGHT_OF_ONE = 0.3, 0.1  # of the newest measurement in the mean, of one answer

    def __init__(self) -> None:
        self.seconds = 0.0
        self._alone = 0.0
        self._since: float | None = None
        self._done = 0.0

    def working(self, backlog: bool, now: float) -> None:
        """Note whether there is more to do than is being done: only that shows how fast it can be."""
        if not backlog:
            self._since = None
        elif self._since is None:
            self._since, self._done = now, 0.0

    def answered(self, cost: float, took: float, now: float) -> None:
        """Record an answer. took: its own seconds."""
        if self._since is not None:
            self._done += cost
            passed = now - self._since
            if passed >= self.WINDOW and self._done >= self.LEAST:
                measured = passed / self._done
                weight = self.WEIGHT if self.seconds else 1.0
                self.seconds += weight * (measured - self.seconds)
                self._since, self._done = now, 0.0
        self._alone += (self.WEIGHT_OF_ONE if self._alone else 1.0) * (took / cost - self._alone)
        # One after the other is as fast as that: a pace from worse times must not last.
        self.seconds = min(self.seconds, self._alone)


class Concurrency:
    """How many units may run at once: `allowed`, from a few up to `limit`.

    Slow start: one more with each answer until the first is late. Then additive increase, multiplicative
    decrease: a search that takes more than a quarter of the time its caller gave, and more than twice the
    quickest, shares the machines with too many. Then so many are let in as would have taken the quarter.
    """

    SHARE, LARGEST_SHARE, SHORTEST, FEWEST, FIRST = 0.25, 0.5, 0.1, 4.0, 8.0
    FORGETS = 1.001  # by which the quickest time grows with each answer

    def __init__(self, limit: float) -> None:
        self.limit = float(limit)
        self.allowed = min(self.limit, self.FIRST)
        self.quickest = math.inf
        self._cut = -math.inf

    def answered(self, took: float) -> None:
        """Record the seconds of an answer."""
        self.quickest = min(self.quickest * self.FORGETS, took)

    def ended(self, began: float, given: float, running: float, now: float) -> None:
        """Record the end of a search. given: seconds its caller gave. running: units with it at its end."""
        took, target = now - began, self._target(given)
        if took <= target:
            if running >= self.allowed:
                step = 1.0 if self._cut == -math.inf else 1 / self.allowed
                self.allowed = min(self.limit, self.allowed + step)
        elif began >= self._cut:
            # One cut for all that began before it: they ran among as many as it.
            fewer = min(self.allowed, running) * max(0.5, target / took)
            self.allowed = min(self.allowed, max(self.FEWEST, fewer))
            self._cut = now

    def _target(self, given: float) -> float:
        # A service that is slow by itself is given up to half, or nothing would run beside anything.
        alone = min(2 * self.quickest, self.LARGEST_SHARE * given)
        return max(self.SHORTEST, self.SHARE * given, alone)
