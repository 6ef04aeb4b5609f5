"""Hedged requests: when a call is sent to a second replica as well."""

from collections import deque


class Hedging:
    """Hedges one kind of call after its 95th latency percentile, and a tenth of the calls at most.

    The budget keeps an overload, in which every call is slow, from doubling itself.
    """

    WINDOW, ENOUGH, SHORTEST, SHARE, BURST = 128, 20, 0.02, 0.1, 10.0

    def __init__(self) -> None:
        self._latencies: deque[float] = deque(maxlen=self.WINDOW)
        self._budget = self.BURST

    def answered(self, seconds: float) -> None:
        """Record a latency; of a call that lost to its hedge, the time it had been waited for."""
        self._latencies.append(seconds)

    def after(self, longest: float) -> float:
        """Begin a call: return the seconds after which to hedge it, at most `longest`."""
        self._budget = min(self._budget + self.SHARE, self.BURST)
        if len(self._latencies) < self.ENOUGH:
            return longest
        ranked = sorted(self._latencies)
        return min(max(ranked[int(0.95 * (len(ranked) - 1))], self.SHORTEST), longest)

    def take(self) -> bool:
        """Spend one hedge of the budget; False when none is left."""
        if self._budget < 1:
            return False
        self._budget -= 1
        return True
