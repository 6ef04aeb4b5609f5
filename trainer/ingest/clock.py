"""Timestamps of decoded frames to rows of the feature grid. Exact: fractions of a second, no floats."""

import math
from fractions import Fraction

# A step back by less is a frame out of order; by more, a clock that was set anew.
OUT_OF_ORDER = Fraction(1)
# A leap ahead by more is a broken timestamp, not a pause.
LONGEST_PAUSE = Fraction(24 * 3600)


class Clock:
    """Turns the raw timestamps of one stream, in decoding order, into seconds since its first frame."""

    def __init__(self, time_base: Fraction, interval: Fraction) -> None:
        """time_base: seconds a tick. interval: seconds a frame lasts when nothing else tells."""
        self._time_base = time_base
        self._interval = interval
        self._origin: Fraction | None = None
        self._last: Fraction | None = None
        self._length = interval

    @property
    def end(self) -> Fraction:
        """Where the last frame ends; 0 before the first."""
        return Fraction(0) if self._last is None else self._last + self._length

    def place(self, pts: int | None, duration: int | None) -> Fraction | None:
        """Return when a frame is shown; None for one that is out of order and must be passed over.

        pts, duration: in ticks, None or 0 where the file does not say. A frame without a timestamp follows
        the one before; so does one whose timestamp jumps back by a second or ahead by a day.
        """
        raw = None if pts is None else pts * self._time_base
        time = self._follow(raw)
        if time is None:
            return None
        if duration and duration > 0:
            self._length = duration * self._time_base
        elif self._last is not None:
            self._length = time - self._last
        self._last = time
        return time

    def _follow(self, raw: Fraction | None) -> Fraction | None:
        if raw is None:
            return self.end
        if self._origin is not None:
            time = raw - self._origin
            assert self._last is not None
            if self._last < time <= self._last + LONGEST_PAUSE:
                return time
            if self._last - OUT_OF_ORDER < time <= self._last:
                return None
        self._origin = raw - self.end
        return self.end


class Grid:
    """Counts the grid points k / fps that each frame is shown at, frames taken in order of time."""

    def __init__(self, fps: Fraction) -> None:
        self._fps = fps
        self.rows = 0

    def until(self, time: Fraction) -> int:
        """Return how many new grid points lie before `time`: those of the frame that `time` ends."""
        rows = max(self.rows, math.ceil(time * self._fps))
        added, self.rows = rows - self.rows, rows
        return added

    def close(self, end: Fraction) -> int:
        """Return how many are left for the last frame: ceil(end * fps) in all, and at least one."""
        return self.until(max(end, Fraction(1) / (2 * self._fps)))
