"""Where of a video the timestamps of its other streams are, when the file's clock is set anew on the way.

Recordings joined byte by byte count each from its own start, and the pictures' `Clock` lets the second follow
the first. Sound and texts follow the pictures, for texts have no regular frames to tell a leap by.
"""

from __future__ import annotations  # av.Packet is generic to type checkers only

from dataclasses import dataclass, replace
from math import inf

from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from trainer.ingest.clock import LONGEST_BREAK, OUT_OF_ORDER
from trainer.ingest.container import may_leap

# Seconds by which packets of different streams that are shown together lie apart in a file.
_APART = 5.0


@dataclass(slots=True)
class _Part:
    """A stretch of one clock. offset: seconds to add. first, last: times of its pictures' packets.

    end: where its pictures end, by the clock that runs on.
    """

    offset: float
    first: float
    last: float
    end: float


class Leaps:
    """Follows the packets of the pictures. Times are seconds, of the file's clock or of one that runs on."""

    def __init__(self, container: InputContainer) -> None:
        """See the pictures' `Clock` for which steps are leaps."""
        self._ahead = float(LONGEST_BREAK) if may_leap(container) else inf
        self._now = self._former = _Part(0.0, inf, inf, 0.0)
        self._leapt = self._began = False

    def take(self, packet: Packet[Stream]) -> None:
        """Take the next packet of the pictures."""
        if packet.dts is None or not packet.time_base or not packet.size:
            return
        tick = float(packet.time_base)
        at, shown = packet.dts * tick, (packet.dts if packet.pts is None else packet.pts) * tick
        if not self._began:
            self._began, self._now = True, _Part(0.0, at, at, shown)
        leapt = not -OUT_OF_ORDER < at - self._now.last <= LONGEST_BREAK
        if leapt:
            self._leap(at, shown)
        self._leapt = leapt
        self._now.last = at
        self._now.end = max(self._now.end, shown + (packet.duration or 0) * tick + self._now.offset)

    def _leap(self, at: float, shown: float) -> None:
        now, former = self._now, self._former
        if -OUT_OF_ORDER < at - former.last <= LONGEST_BREAK:
            # What came since the leap were strays.
            self._now, self._former = former, now
            return
        if self._leapt and at > now.last:
            # Every picture leaps: they are far apart, and no clock was set anew, except where it went back.
            before = now if now.first < former.last else former
            self._ahead, now = inf, replace(now, offset=before.offset, end=now.last + before.offset)
        pause = now.last < at <= now.last + self._ahead
        offset = now.offset if pause else now.end - shown
        self._now, self._former = _Part(offset, at, at, shown + offset), now

    @property
    def offset(self) -> float:
        """What to add to times now."""
        return self._now.offset

    @property
    def end(self) -> float:
        """Where the pictures end so far, by the clock that runs on."""
        return self._now.end

    def near(self, time: float) -> float | None:
        """Return what to add to a time of another stream, None where no picture is near it.

        Near a leap either clock may be meant: packets of sound come before, or after, those of pictures.
        """
        now = self._now
        if not self._began:
            return 0.0
        parts = [now] if now.last - now.first > _APART else [now, self._former]
        nearest = min(parts, key=lambda part: abs(time - part.last))
        return nearest.offset if abs(time - nearest.last) <= _APART else None

    def runs_on(self, step: float) -> bool:
        """Whether a step of so many seconds between frames of another stream is no leap."""
        return -OUT_OF_ORDER < step <= self._ahead


class Follower:
    """Tells the times of a stream that has frames without pauses, as sound, by the clock of the pictures."""

    def __init__(self, leaps: Leaps) -> None:
        """leaps: which somebody else feeds."""
        self._leaps = leaps
        self._offset = 0.0
        self._last: float | None = None
        # Where this stream leapt and the pictures did not yet.
        self._since: float | None = None

    def time(self, time: float) -> float:
        """Return the time of the next frame."""
        if self._last is not None and not self._leaps.runs_on(time - self._last):
            self._since = time
        self._last = time
        if self._since is not None:
            offset = self._leaps.near(time)
            self._offset = self._leaps.end - self._since if offset is None else offset
            self._since = self._since if offset is None else None
        return time + self._offset
