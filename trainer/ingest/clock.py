"""Timestamps of decoded frames to seconds. Exact: fractions of a second, no floats."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Generic, TypeVar

T = TypeVar("T")

# A step back by less is a frame out of order. A step back by more, or so far past the end, is a leap.
OUT_OF_ORDER = Fraction(1)
# A leap ahead by more is a clock set anew in formats that may leap (joined transport streams) ...
LONGEST_BREAK = Fraction(10)
# ... and a pause of up to this where timestamps come from one table or counter.
LONGEST_PAUSE = Fraction(24 * 3600)
# So many frames must go on from a leap before it is believed: no H.264 decoder holds more pictures back.
CONFIRMED = 16


@dataclass(frozen=True, slots=True)
class _Frame(Generic[T]):
    item: T
    pts: int | None
    dts: int | None
    duration: int | None
    before: int | None


class Clock(Generic[T]):
    """Turns the raw timestamps of one stream, in the decoder's order, into seconds since its first frame.

    A frame that leaps is held until later ones tell. If they go on from before the leap, its timestamp was a
    stray and the frame is passed over; if they go on from the leap, it was a pause or a clock set anew.
    """

    def __init__(
        self, time_base: Fraction, interval: Fraction, *, leaps: bool = False, until: Fraction | None = None
    ) -> None:
        """time_base: seconds a tick. interval: seconds a frame lasts when nothing else tells.

        leaps: whether the format allows clocks that are set anew within a file. until: seconds that the
        file announces; a leap far beyond is no pause.
        """
        self._time_base = time_base
        self._length = interval
        self._time: Fraction | None = None
        self._pts, self._dts = _Counter(time_base), _Counter(time_base)
        self._pause = LONGEST_BREAK if leaps else LONGEST_PAUSE
        self._until = None if until is None else until * 102 / 100 + LONGEST_BREAK
        self._held, self._slow = list[_Frame[T]](), False
        self._first: Fraction | None = None
        # Whether every frame so far came in order, by its own presentation time.
        self.steady = True
        # Seconds that no frame of its own covers, counted while `counts_gaps` is set.
        self.gaps = Fraction(0)
        self.counts_gaps = True
        self.passed = self._since = 0  # frames in a row that were passed over: the most, and now

    @property
    def first(self) -> Fraction:
        """The file's own timestamp of time 0, in seconds."""
        return self._first or Fraction(0)

    @property
    def end(self) -> Fraction:
        """Where the last frame ends; 0 before the first."""
        return Fraction(0) if self._time is None else self._time + self._length

    @property
    def unsure(self) -> bool:
        """Whether frames are held because of a leap."""
        return bool(self._held)

    def begin(self, pts: int) -> None:
        """Let time 0 be the timestamp of a picture before the first frame, one that does not decode."""
        self._pts.add(pts)
        self._first = self._pts.raw

    def place(
        self, item: T, pts: int | None, dts: int | None, duration: int | None, before: int | None = None
    ) -> list[tuple[T, Fraction]]:
        """Take the next frame; return those that are certain now, each with the second it is shown at.

        pts, dts, duration: in ticks, None or 0 where the file does not say. before: `pts` of a picture left
        out on purpose. A frame without a timestamp follows the one before; one out of order is never
        returned. Some containers (AVI) know no presentation times and what is made up for them runs back
        and forth: there `dts` counts.
        """
        self._pts.add(pts)
        self._dts.add(dts)
        if self._first is None:
            self._first = (self._dts if pts is None else self._pts).raw
        frame = _Frame(item, pts, dts, duration, before)
        self.steady &= not self._by_dts(pts)
        if self._held and self._returns(frame):
            self.steady = False
            self._held.clear()
        if self._held:
            self._hold(frame)
            placed = self._believe() if len(self._held) == CONFIRMED else []
        elif self._time is not None and self._leaps(frame):
            self._held, placed = [frame], []
        else:
            placed = self._set(frame)
        self._since = 0 if placed else self._since + 1
        self.passed = max(self.passed, self._since - len(self._held))
        return placed

    def close(self) -> list[tuple[T, Fraction]]:
        """Return the held frames that belong to the video, after the last. One step back alone is a stray."""
        ahead = bool(self._held) and self._gap(self._held[0]) > 0
        return self._believe() if ahead or len(self._held) > 1 else []

    def at(self, pts: int | None, dts: int | None) -> Fraction | None:
        """Return the second that a timestamp stands for, None where there is none."""
        return self._dts.time(dts) if self._by_dts(pts) else self._pts.time(pts)

    def _by_dts(self, pts: int | None) -> bool:
        return pts is None or (self._pts.faulty and not self._dts.faulty)

    def _gap(self, frame: _Frame[T]) -> Fraction:
        """Return seconds from the last frame's start; positive for frames without a timestamp."""
        time = self.at(frame.pts, frame.dts)
        return self._length if time is None or self._time is None else time - self._time

    def _leaps(self, frame: _Frame[T]) -> bool:
        return not -OUT_OF_ORDER < self._gap(frame) - self._left_out(frame) <= self._length + OUT_OF_ORDER

    def _left_out(self, frame: _Frame[T]) -> Fraction:
        """Return seconds from the last frame's start to that of the picture left out before a frame."""
        before, last = self._pts.time(frame.before), self._time
        return Fraction(0) if before is None or last is None else max(Fraction(0), before - last)

    def _returns(self, frame: _Frame[T]) -> bool:
        """Whether a frame goes on from before the leap: what is held are strays."""
        time = self.at(frame.pts, frame.dts)
        if time is None or self._time is None:
            return False
        before, now = self._gap(self._held[0]), time - self._time
        return now > 0 if before <= 0 else 0 < now < before

    def _hold(self, frame: _Frame[T]) -> None:
        """Keep a frame that goes on from those held; a further leap back begins anew."""
        last = next((t for f in reversed(self._held) if (t := self.at(f.pts, f.dts)) is not None), None)
        time = self.at(frame.pts, frame.dts)
        if time is not None and last is not None and time <= last:
            self.steady = False
            if time > last - OUT_OF_ORDER or -OUT_OF_ORDER < self._gap(frame) <= 0:
                return
            self._held.clear()
        self._held.append(frame)

    def _believe(self) -> list[tuple[T, Fraction]]:
        """Place what is held: at its own time after a pause, else at the end so far."""
        frames, self._held = self._held, []
        gaps = [self._gap(frame) for frame in frames]
        breaks = [after - before > self._pause for before, after in pairwise(gaps)] or [self._slow]
        placed: list[tuple[T, Fraction]] = []
        for number, frame in enumerate(frames):
            # A slow sequence leaps with every frame; that is no break.
            self._slow = any(breaks[max(0, number - 1) : number + 1])
            if self._leaps(frame) and not self._resumes(frame) and not self._pauses(frame):
                self.steady = False
                self._pts.restart(frame.pts, self.end)
                self._dts.restart(frame.dts, self.end)
            placed += self._set(frame)
        return placed

    def _pauses(self, frame: _Frame[T]) -> bool:
        gap, longest = self._gap(frame), LONGEST_PAUSE if self._slow else self._pause
        beyond = self._until is not None and self._time is not None and self._time + gap > self._until
        return 0 < gap <= self._length + longest and not beyond

    def _resumes(self, frame: _Frame[T]) -> bool:
        """Whether a frame goes on by the clock of before it was set anew, which then counts again."""
        use_dts = self._by_dts(frame.pts)
        counter, stamp = (self._dts, frame.dts) if use_dts else (self._pts, frame.pts)
        time = counter.former(stamp)
        if time is None or self._time is None or time <= self._time or time > self.end + LONGEST_BREAK:
            return False
        self._pts.swap()
        self._dts.swap()
        return True

    def _set(self, frame: _Frame[T]) -> list[tuple[T, Fraction]]:
        found = self.at(frame.pts, frame.dts)
        time = self.end if found is None else found
        if self._time is not None and time <= self._time:
            self.steady = False
            return []
        if self._time is not None:
            step = time - self._time - self._left_out(frame)
            if self.counts_gaps and step * 2 > self._length * 3:
                self.gaps += step - self._length
            self._length = step
        if frame.duration and frame.duration > 0:
            self._length = frame.duration * self._time_base
        self._time = time
        return [(frame.item, time)]


class _Counter:
    """One of a stream's two kinds of timestamps. Called for every frame: counts in ticks, which are cheap."""

    def __init__(self, time_base: Fraction) -> None:
        self._time_base = time_base
        self._late = OUT_OF_ORDER / time_base
        self._last: int | None = None
        self._origin = Fraction(0)
        self._former: Fraction | None = None
        self._seen = self._back = 0

    @property
    def faulty(self) -> bool:
        """Whether a tenth of the stamps and more ran back, as those of a sound file never do."""
        return self._back * 10 >= max(self._seen, 1)

    @property
    def raw(self) -> Fraction:
        """The last stamp in seconds; 0 before the first."""
        return (self._last or 0) * self._time_base

    def time(self, ticks: int | None) -> Fraction | None:
        """Return a stamp in seconds since the first; None where there is none."""
        return None if ticks is None or self._last is None else ticks * self._time_base - self._origin

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

    def restart(self, ticks: int | None, now: Fraction) -> None:
        """Let a stamp mean `now`."""
        if ticks is not None:
            self._former, self._origin = self._origin, ticks * self._time_base - now

    def former(self, ticks: int | None) -> Fraction | None:
        """Return what a stamp meant before `restart`; None where there was none."""
        return None if ticks is None or self._former is None else ticks * self._time_base - self._former

    def swap(self) -> None:
        """Take back `restart`."""
        if self._former is not None:
            self._former, self._origin = self._origin, self._former
