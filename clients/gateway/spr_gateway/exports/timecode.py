"""SMPTE timecode: labels of frames, exact in fractions (SMPTE ST 12-1)."""

import re
from dataclasses import dataclass
from fractions import Fraction

from engine.errors import InvalidInput

NTSC = Fraction(1000, 1001)
# Seconds that come as floats lie this part of a frame beside the frame's edge, and are meant to be on it.
TOLERANCE = Fraction(1, 100)
_LABEL = re.compile(r"(\d\d)[:;.](\d\d)[:;.](\d\d)([:;.,])(\d{2,3})")


@dataclass(frozen=True, slots=True)
class Counting:
    """How frames are counted.

    rate: frames a second, a whole number or that over 1.001. drop: drop-frame, of 29.97 and its multiples:
    labels (not frames) are left out at the start of nine minutes in ten, so that they keep up with the clock.
    """

    rate: Fraction
    drop: bool = False

    def __post_init__(self) -> None:
        if self.rate not in (self.nominal, self.nominal * NTSC):
            raise InvalidInput(f"{float(self.rate):g} frames a second have no timecode; give a rate that has")
        if self.drop and not can_drop(self.rate):
            raise InvalidInput(f"{float(self.rate):g} frames a second have no drop-frame timecode")

    @property
    def nominal(self) -> int:
        """Frames in a second of the labels."""
        return -(-self.rate.numerator // self.rate.denominator)

    @property
    def ntsc(self) -> bool:
        """Whether the rate is a whole number over 1.001."""
        return self.rate != self.nominal

    @property
    def day(self) -> int:
        """Frames until the labels start again."""
        return 144 * self._ten_minutes

    def label(self, frame: int) -> str:
        """Return the label of a frame, counted from midnight: HH:MM:SS:FF, of drop-frame HH:MM:SS;FF."""
        tens, rest = divmod(frame % self.day, self._ten_minutes)
        minute = 60 * self.nominal - self._dropped
        skips = 9 * tens + max(0, rest - self._dropped) // minute
        seconds, part = divmod(frame % self.day + skips * self._dropped, self.nominal)
        width = max(2, len(str(self.nominal - 1)))
        mark = ";" if self.drop else ":"
        hours, minutes = divmod(seconds // 60, 60)
        return f"{hours:02d}:{minutes:02d}:{seconds % 60:02d}{mark}{part:0{width}d}"

    def frame(self, label: str) -> int:
        """Return the frame of a label, counted from midnight; InvalidInput where none has it."""
        found = _LABEL.fullmatch(label.strip())
        hours, minutes, seconds, part = (int(found[n]) for n in (1, 2, 3, 5)) if found else (99,) * 4
        skipped = seconds == 0 and minutes % 10 != 0 and part < self._dropped
        if hours > 23 or minutes > 59 or seconds > 59 or part >= self.nominal or skipped:
            raise InvalidInput(f"{label[:40]!r} is no timecode at {float(self.rate):g} frames a second")
        minutes += 60 * hours
        return (60 * minutes + seconds) * self.nominal + part - self._dropped * (minutes - minutes // 10)

    def seconds(self, frame: int) -> Fraction:
        """Return when a frame begins, from frame 0."""
        return frame / self.rate

    def first(self, seconds: float) -> int:
        """Return the frame that is shown at a time."""
        return int((Fraction(seconds) * self.rate + TOLERANCE) // 1)

    def end(self, seconds: float) -> int:
        """Return the first frame that begins at a time or after it."""
        return int(-((TOLERANCE - Fraction(seconds) * self.rate) // 1))

    @property
    def _dropped(self) -> int:
        return self.nominal // 15 if self.drop else 0

    @property
    def _ten_minutes(self) -> int:
        return 600 * self.nominal - 9 * self._dropped


def can_drop(rate: Fraction) -> bool:
    """Whether a rate has drop-frame timecode."""
    return (rate / NTSC).denominator == 1 and rate / NTSC % 30 == 0


def counted(rate: Fraction) -> Fraction:
    """Return the rate that timecode counts next to a measured one: the same, but for an error of 0.02 %.

    Of a rate that has no timecode it is the smallest multiple up to fourfold that has one, else the nearest
    that cameras record.
    """
    for times in (1, 2, 3, 4):
        whole = round(rate * times)
        for exact in (Fraction(whole), whole * NTSC):
            common = exact == whole or whole in (24, 30, 48, 60, 120)
            if whole and common and abs(rate * times / exact - 1) <= Fraction(1, 5000):
                return exact
    usual = [Fraction(n) for n in (24, 25, 30, 50, 60)] + [n * NTSC for n in (24, 30, 60)]
    return min(usual, key=lambda each: abs(each / rate - 1))
