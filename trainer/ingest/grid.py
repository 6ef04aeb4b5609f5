"""Seconds to rows of the feature grid."""

import math
from fractions import Fraction


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
