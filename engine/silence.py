"""Whether a process that does not answer hangs, or is slow: on a busy core work takes many times as long."""

import time
from dataclasses import dataclass, field
from pathlib import Path

IDLE = 0.05  # of the time: what a thread does that waits for something
TOIL = 3.0  # time-outs that one thread may compute without an answer: what loops for ever is ended too
_PROC = Path("/proc")


def spent(pid: int) -> dict[str, tuple[float, float]]:
    """Return the seconds that each thread of a process ran, and waited for a core, by thread.

    Nothing where the system does not tell, or for a process that has ended.
    """
    found = {}
    for told in _PROC.glob(f"{pid}/task/*/schedstat"):
        try:
            ran, waited, _ = told.read_text("ascii").split()
        except (OSError, ValueError):  # it has just ended; or a kernel that counts nothing
            continue
        found[told.parent.name] = int(ran) / 1e9, int(waited) / 1e9
    return found


@dataclass(eq=False)
class Silence:
    """What a process does while it does not answer, looked at in windows of half a time-out."""

    _pid: int = 0
    _began: float = 0.0
    _before: dict[str, tuple[float, float]] = field(default_factory=dict)
    _idle: bool = False
    _ran: float = 0.0

    def hangs(self, pid: int, seconds: float, timeout: float) -> bool:
        """Return whether a process that has not answered for so long is to be killed.

        It is after `timeout` (0: never) without an answer, if it did no work in the last window nor does
        since: then it waits for what does not come. One that computes, or waits for a core, gets on: it is
        after TOIL times the time-out of computing.
        """
        if timeout <= 0:
            return False
        now = time.monotonic()
        if pid != self._pid or seconds < min(1.0, timeout / 2):
            self._pid, self._began, self._before = pid, now, {}
            self._idle, self._ran = False, 0.0
            return False
        self._before = self._before or spent(pid)
        if now - self._began >= timeout / 2:
            self._look(now)
        if seconds < timeout:
            return False
        return self._ran >= TOIL * timeout or (self._idle and self._rests(now, self._since(spent(self._pid))))

    def _look(self, now: float) -> None:
        after = spent(self._pid)
        new = self._since(after)
        self._idle = self._rests(now, new)
        self._ran += max((ran for ran, _ in new), default=0.0)
        self._began, self._before = now, after

    def _since(self, after: dict[str, tuple[float, float]]) -> list[tuple[float, float]]:
        """Return what each thread ran and waited for a core since the window began."""
        return [
            (ran - before[0], waited - before[1])
            for thread, (ran, waited) in after.items()
            if (before := self._before.get(thread, (0.0, 0.0)))
        ]

    def _rests(self, now: float, new: list[tuple[float, float]]) -> bool:
        """Whether no thread did more since the window began than one that waits for something."""
        return max((ran + waited for ran, waited in new), default=0.0) <= IDLE * (now - self._began)
