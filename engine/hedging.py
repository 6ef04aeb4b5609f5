"""When a call is sent to a second replica: by the latencies of each worker, and within budgets."""

from collections import deque


class Bucket:
    """A token bucket: a share of the calls, `burst` at once. It keeps an overload from doubling itself."""

    def __init__(self, share: float, burst: float) -> None:
        self._share, self._burst, self._tokens = share, burst, burst

    def earn(self) -> None:
        """Add the share of one call."""
        self._tokens = min(self._tokens + self._share, self._burst)

    def take(self) -> bool:
        """Spend one token; False when none is left."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Latencies:
    """The last answers of one worker. median, p95: seconds, of at least ENOUGH answers, else None."""

    WINDOW, ENOUGH, EVERY = 128, 20, 8

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=self.WINDOW)
        self._new = 0
        self.median: float | None = None
        self.p95: float | None = None

    def add(self, seconds: float) -> None:
        """Record one; the quantiles follow every few answers, which costs less than with each."""
        self._seconds.append(seconds)
        self._new += 1
        if len(self._seconds) >= self.ENOUGH and (self._new >= self.EVERY or self.p95 is None):
            self._new, ranked = 0, sorted(self._seconds)
            self.median, self.p95 = ranked[len(ranked) // 2], ranked[int(0.95 * (len(ranked) - 1))]


class Hedging:
    """One kind of call of one collection: latencies by worker, and the budgets of hedges and of retries.

    A worker is hedged after the 95th percentile of its own latency, or OUTLIER times that of the fastest one.
    hedges: a tenth of the calls. retries: a fifth; their burst is as large as the searches in flight, which
    all fail at once where a process is killed.
    """

    SHORTEST, OUTLIER = 0.02, 3.0

    def __init__(self, at_once: int = 100) -> None:
        self._of: dict[str, Latencies] = {}
        self.hedges, self.retries = Bucket(0.1, 10.0), Bucket(0.2, float(at_once))

    def begin(self) -> None:
        """Count a call, which earns its share of a hedge and of a retry."""
        self.hedges.earn()
        self.retries.earn()

    def answered(self, target: str, seconds: float) -> None:
        """Record a latency; of a call that lost to its hedge, the time it had been waited for."""
        of = self._of.get(target)
        if of is None:
            of = self._of[target] = Latencies()
        of.add(seconds)

    def after(self, target: str, longest: float) -> float:
        """Return the seconds after which to hedge a call to a worker, at most `longest`."""
        of = self._of.get(target)
        if of is None or of.p95 is None:
            return longest
        fastest = min(one.p95 for one in self._of.values() if one.p95 is not None)
        return min(max(min(of.p95, self.OUTLIER * fastest), self.SHORTEST), longest)

    def is_outlier(self, target: str) -> bool:
        """Whether a worker's median latency is OUTLIER times that of the fastest one, or more."""
        of = self._of.get(target)
        if of is None or of.median is None or of.median < self.SHORTEST:
            return False
        return of.median >= self.OUTLIER * min(o.median for o in self._of.values() if o.median is not None)

    def forget(self, target: str) -> None:
        """Forget a worker that has gone."""
        self._of.pop(target, None)
