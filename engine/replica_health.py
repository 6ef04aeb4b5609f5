"""The health of replicas, from how they answered: outlier ejection and a circuit breaker with probes.

Pure bookkeeping. Times are seconds of a monotonic clock that the caller reads.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum

EJECT_AFTER = 3  # failures in a row
OPEN_AFTER = 2  # time-outs in a row that open the circuit
OPEN_SILENCE = 1.0  # and seconds without an answer: under overload some answers still come
SHORTEST_TIMEOUT = 0.1  # a time-out sooner than this says something of the caller's deadline alone


class Health(IntEnum):
    """What may be asked of a replica, best first.

    HEALTHY: in rotation. EJECTED: asked when no healthy replica answers. OPEN: its circuit is open, probes
    alone ask it.
    """

    HEALTHY = 0
    EJECTED = 1
    OPEN = 2


@dataclass(slots=True)
class ReplicaHealth:
    """How one replica has answered.

    EJECT_AFTER failures in a row, or a `fault` that a probe found, eject it; OPEN_AFTER time-outs of calls,
    or one and late probes, open its circuit. A success closes both. So does a good probe, half-way: one more
    failure ejects the replica again, and a circuit that was open becomes half-open: one call at a time until
    one succeeds.
    """

    last_success: float
    outstanding: int = 0
    failures: int = 0
    timeouts: int = 0
    missed_probes: int = 0
    fault: str = ""
    last_error: str = ""
    half_open: bool = False

    def state(self, now: float) -> Health:
        """Return the state at time `now`."""
        if self._is_open(now) or (self.half_open and self.outstanding):
            return Health.OPEN
        return Health.EJECTED if self.fault or self.failures >= EJECT_AFTER else Health.HEALTHY

    def succeeded(self, now: float) -> None:
        """Record a good answer."""
        self.last_success, self.last_error = now, ""
        self.failures, self.timeouts, self.missed_probes, self.half_open = 0, 0, 0, False

    def failed(self, why: str) -> None:
        """Record a failure, or an answer so late that a hedge was first."""
        self.failures += 1
        self.last_error = why

    def timed_out(self, seconds: float) -> None:
        """Record a call that ended without an answer after so many seconds."""
        if seconds >= SHORTEST_TIMEOUT:
            self.failed(f"no answer within {seconds:.2g} s")
            self.timeouts += 1
            self.half_open = False

    def probed(self, fault: str, now: float) -> None:
        """Record a probe: what is wrong with the replica, empty if nothing is."""
        self.fault, silent = fault, self._is_silent
        healthy, self.missed_probes = self.state(now) is Health.HEALTHY, 0
        if fault or healthy:
            return
        self.half_open = silent
        self.failures = min(self.failures, EJECT_AFTER - 1)
        self.timeouts = min(self.timeouts, OPEN_AFTER - 1)

    def missed(self, fault: str, now: float) -> None:
        """Record a probe that was not answered in time."""
        self.fault = fault
        if now - self.last_success >= OPEN_SILENCE:
            self.missed_probes += 1
            self.half_open = False

    def _is_open(self, now: float) -> bool:
        return self._is_silent and now - self.last_success >= OPEN_SILENCE

    @property
    def _is_silent(self) -> bool:
        # Late probes alone may be a busy machine's, on which calls still end in time.
        return self.timeouts > 0 and self.timeouts + self.missed_probes >= OPEN_AFTER


def by_preference(
    replicas: Sequence[ReplicaHealth],
    turn: int,
    now: float,
    lacking: Collection[int] = (),
    slow: Collection[int] = (),
    far: Collection[int] = (),
) -> list[int]:
    """Return the replicas to ask, first to last: healthy, then ejected; least outstanding calls first.

    turn: where the round robin among equals begins. lacking: those that are not known to hold what is asked
    for; they come last. slow: those whose latency is an outlier; they come after their like. far: those of
    another zone; they come after what does as well, whatever is outstanding there.
    """
    states = [replica.state(now) for replica in replicas]
    n = len(replicas)
    askable = [i for i in range(n) if states[i] is not Health.OPEN]
    if len(askable) < 2:
        return askable
    return sorted(
        askable,
        key=lambda i: (i in lacking, states[i], i in slow, i in far, replicas[i].outstanding, (i - turn) % n),
    )
