"""Timestamps of decoded frames to rows of the feature grid. Exact: fractions of a second, no floats."""

import math
from fractions import Fraction

# A step back by less is a frame out of order; by more, a clock that was set anew.
OUT_OF_ORDER = Fraction(1)
# A leap ahead by more is a broken timestamp, not a pause.
LONGEST_PAUSE = Fraction(24 * 3600)


class Clock:
    """Turns the raw timestamps of one stream, in the decoder's order, into seconds since its first frame."""

    def __init__(self, time_base: Fraction, interval: Fraction) -> None:
        """time_base: seconds a tick. interval: seconds a frame lasts when nothing else tells."""
        self._time_base = time_base
        self._length = interval
        self._time: Fraction | None = None
        self._pts = _Counter(time_base)
        self._dts = _Counter(time_base)
        self.first = Fraction(0)
        # Whether every frame so far came in order, by its own presentation time.
        self.steady = True

    @property
    def end(self) -> Fraction:
        """Where the last frame ends; 0 before the first."""
        return Fraction(0) if self._time is None else self._time + self._length

    def place(self, pts: int | None, dts: int | None, duration: int | None) -> Fraction | None:
        """Return when a frame is shown; None for one that is out of order and must be passed over.

        All in ticks, None or 0 where the file does not say. A frame without a timestamp follows the one
        before; so does one whose timestamp jumps back by a second or ahead by a day. Some containers (AVI)
        know no presentation times and what is made up for them runs back and forth: there `dts` counts.
        """
        self._pts.add(pts)
        self._dts.add(dts)
        if self._time is None:
            self.first = (self._dts if pts is None else self._pts).raw
        use_dts = pts is None or (self._pts.faulty and not self._dts.faulty)
        counter, stamp = (self._dts, dts) if use_dts else (self._pts, pts)
        self.steady &= not use_dts
        time = self._follow(None if stamp is None else counter.time)
        if time is None:
            return None
        if duration and duration > 0:
            self._length = duration * self._time_base
        elif self._time is not None:
            self._length = time - self._time
        self._time = time
        return time

    def _follow(self, time: Fraction | None) -> Fraction | None:
        if time is None or self._time is None:
            return self.end
        if self._time < time <= self._time + LONGEST_PAUSE:
            return time
        self.steady = False
        if self._time - OUT_OF_ORDER < time <= self._time:
            return None
        self._pts.restart(self.end)
        self._dts.restart(self.end)
        return self.end


class _Counter:
    """One of a stream's two kinds of timestamps. Called for every frame: counts in ticks, which are cheap."""

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._late = OUT_OF_ORDER / time_base
        self._last: int | None = None
        self._origin = Fraction(0)
        self._seen = self._back = 0

    @property
    def faulty(self) -> bool:
        """Whether a tenth of the stamps and more ran back, as those of a sound file never do."""
        return self._back * 10 >= max(self._seen, 1)

    @property
    def raw(self) -> Fraction:
        """The last stamp in seconds; 0 before the first."""
        return (self._last or 0) * self._time_base

    @property
    def time(self) -> Fraction:
        """The last stamp in seconds since the first."""
        return self.raw - self._origin

    def add(self, ticks: int | None) -> None:
        """Take the next stamp, if there is one."""
        if ticks is None:
            return
        if self._last is None:
            self._origin = ticks * self._time_base
        elif ticks <= self._last and self._last - ticks < self._late:
            self._back += 1
        self._seen += 1
        self._last = ticks

    def restart(self, now: Fraction) -> None:
        """Let the last stamp mean `now`."""
        if self._last is not None:
            self._origin = self.raw - now


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
