"""Cues: sentences with their times, and their rows on the feature grid."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, floor
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.texts import Line

# Of one video: a subtitle file's bytes, its cues, a cue's characters. A day of talk has a tenth of each.
MOST_CUES = 100_000
LONGEST_CUE = 10_000
# Cues in one row: layers of styled subtitles have some dozens. Their times bound what a file costs.
MOST_IN_A_ROW = 50
# Captions that roll: lines that stay, and seconds from a cue's end to the next one's start.
MOST_ROLLING = 4
ROLLING = 0.1


@dataclass(frozen=True, slots=True)
class Cue:
    """A sentence and when it is on screen: seconds, half-open. Of several lines before `usable`."""

    start: float
    end: float
    text: str

    def shifted(self, seconds: float) -> "Cue":
        """Return the cue `seconds` later."""
        return replace(self, start=self.start + seconds, end=self.end + seconds)


Timed = TypeVar("Timed", Cue, Line)


def usable(cues: Sequence[Cue]) -> list[Cue]:
    """Return the cues that say something for some time, by start, each in one line.

    Of captions that roll up, as live ones and YouTube's do, a cue has only the lines that its predecessor,
    which ended as it began, did not show last. Of layers that say the same at one time, one counts.
    """
    shown_once = dict.fromkeys(cue for cue in cues if cue.text and cue.end > cue.start)
    said = sorted(shown_once, key=lambda cue: cue.start)
    found, shown, end = list[Cue](), list[str](), -ROLLING
    for cue in said:
        lines = cue.text.split("\n")
        again = _repeated(shown, lines) if abs(cue.start - end) <= ROLLING else 0
        if again < len(lines):
            found.append(replace(cue, text=" ".join(lines[again:])))
        else:
            found[-1] = replace(found[-1], end=max(found[-1].end, cue.end))
        shown, end = lines, cue.end
    return found


def _repeated(shown: list[str], lines: list[str]) -> int:
    """Return how many of the first lines are the last ones of those shown."""
    counts = range(min(len(shown), len(lines), MOST_ROLLING), 0, -1)
    return next((count for count in counts if lines[:count] == shown[-count:]), 0)


def seen(
    cues: Sequence[Timed], rows: int, fps: Fraction, most: int = MOST_IN_A_ROW
) -> tuple[list[Timed], int]:
    """Return the cues, or lines, given by start, that rows show, and how many are left out.

    Of more than `most` in one row the first are shown.
    """
    found, left_out, count = list[Timed](), 0, np.zeros(rows + 1, np.int64)
    for cue in cues:
        first, last = _rows_of(cue, rows, fps)
        if first >= last:
            continue
        # By start: no later row has more of those before.
        if count[first] < most:
            count[first:last] += 1
            found.append(cue)
        else:
            left_out += 1
    return found, left_out


def subtitle_rows(
    cues: Sequence[Cue], vectors: Mapping[str, NDArray[np.float32]], rows: int, fps: Fraction, dim: int
) -> NDArray[np.float32]:
    """Return (rows, dim): row k is the maximum over the sentences shown in [k, k+1) / fps, zero where none.

    vectors: text -> (dim,).
    """
    out = np.zeros((rows, dim), np.float32)
    taken = np.zeros(rows, bool)
    for cue in cues:
        first, last = _rows_of(cue, rows, fps)
        shown, vector = out[first:last], vectors[cue.text]
        shown[:] = np.where(taken[first:last, None], np.maximum(shown, vector), vector)
        taken[first:last] = True
    return out


def _rows_of(cue: Cue | Line, rows: int, fps: Fraction) -> tuple[int, int]:
    """Return the first row that shows a cue, and the one after the last."""
    return max(0, floor(Fraction(cue.start) * fps)), min(rows, ceil(Fraction(cue.end) * fps))
