"""Which copy of a worker is asked, and when a second one: decided from how they answered lately.

Pure bookkeeping. Times are seconds of a monotonic clock that the caller reads.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

STRIKES = 3  # bad answers in a row that put a copy out of rotation
SILENCES = 2  # time-outs in a row after which a copy is asked by probes alone
SILENT_FOR = 1.0  # and at least so long without a good answer: under overload some still come
SHORTEST_SILENCE = 0.1  # a time-out sooner than this tells of the caller's deadline, not of the worker

IN, OUT, NEVER = 0, 1, 2


@dataclass(slots=True)
class Standing:
    """How one copy has answered.

    In rotation (IN); after STRIKES bad answers in a row, or with a `fault` that a probe found, asked only
    when no copy in rotation can answer (OUT); after SILENCES time-outs not at all (NEVER). A good answer or
    a good probe brings it back: after a probe one more bad answer suffices to put it out again, and of a
    silent copy one call finds out whether it answers.
    """

    last_well: float
    outstanding: int = 0
    strikes: int = 0
    silences: int = 0
    fault: str = ""
    why: str = ""
    on_trial: bool = False

    def place(self, now: float) -> int:
        """Return IN, OUT or NEVER."""
        if self._silent(now) or (self.on_trial and self.outstanding):
            return NEVER
        return OUT if self.fault or self.strikes >= STRIKES else IN

    def well(self, now: float) -> None:
        """Note a good answer."""
        self.last_well, self.strikes, self.silences, self.on_trial, self.why = now, 0, 0, False, ""

    def bad(self, why: str) -> None:
        """Note a failure, or an answer so late that another copy was asked and was first."""
        self.strikes += 1
        self.why = why

    def timed_out(self, seconds: float) -> None:
        """Note a call that ended without an answer after so many seconds."""
        if seconds >= SHORTEST_SILENCE:
            self.bad(f"no answer within {seconds:.2g} s")
            self.silences += 1
            self.on_trial = False

    def probed(self, fault: str, now: float) -> None:
        """Note a probe's answer: what is wrong with the copy, empty if nothing is."""
        self.fault = fault
        if fault or self.place(now) == IN:
            return
        self.on_trial = self.silences >= SILENCES
        self.strikes = min(self.strikes, STRIKES - 1)
        self.silences = min(self.silences, SILENCES - 1)

    def _silent(self, now: float) -> bool:
        return self.silences >= SILENCES and now - self.last_well >= SILENT_FOR


def in_order(copies: Sequence[Standing], turn: int, now: float) -> list[int]:
    """Return the copies to ask, first to last: those in rotation, then those out; fewest calls open first.

    turn: where to begin among equals.
    """
    places = [copy.place(now) for copy in copies]
    n = len(copies)
    askable = [i for i in range(n) if places[i] != NEVER]
    return sorted(askable, key=lambda i: (places[i], copies[i].outstanding, (i - turn) % n))


class Hedging:
    """When a call is doubled: after the 95th percentile of its kind's latest answers; a tenth at most.

    The bound keeps an overload, in which everything is late, from doubling itself.
    """

    KEPT, ENOUGH, SHORTEST, SHARE, BURST = 128, 20, 0.02, 0.1, 10.0

    def __init__(self) -> None:
        self._latest: deque[float] = deque(maxlen=self.KEPT)
        self._allowed = self.BURST

    def answered(self, seconds: float) -> None:
        """Note how long an answer took, or how long one had been waited for when another copy was first."""
        self._latest.append(seconds)

    def after(self, longest: float) -> float:
        """Begin a call: return the seconds after which to double it, at most `longest`."""
        self._allowed = min(self._allowed + self.SHARE, self.BURST)
        if len(self._latest) < self.ENOUGH:
            return longest
        ranked = sorted(self._latest)
        return min(max(ranked[int(0.95 * (len(ranked) - 1))], self.SHORTEST), longest)

    def take(self) -> bool:
        """Whether one more call may be doubled now; counts it."""
        if self._allowed < 1:
            return False
        self._allowed -= 1
        return True
