"""Decides when a screen is read: when something stands there that was not there at the last reading."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.texts import Box

# Pictures looked at in a second.
RATE = Fraction(2)
# Lines to which they are scaled down for it, pixels of a block's side, and the mean difference of grey levels
# by which a block has changed: twice what compression makes of a picture that stands still, and what
# a line of small print makes of an empty one.
_EDGE, _BLOCK, _LEVELS = 360, 8, 8.0
# Seconds from one reading to the next: SOON where there was something new, up to LATE where pictures move
# and nothing was.
SOON, LATE = 1.0, 2.0
# By so much of the picture more, or less, moves at a cut, or where motion comes to rest.
_LEAP = 0.5

Grey = NDArray[np.int16]
# Whether each block has changed.
Blocks = NDArray[np.bool_]


def grey_of(image: NDArray[np.uint8]) -> Grey:
    """Return a picture, (h, w, 3) RGB, in grey and small, whole blocks high and wide."""
    picture = Image.fromarray(image).convert("L")
    scale = _EDGE / min(picture.size)
    if scale < 1:
        size = tuple(max(1, round(side * scale)) for side in picture.size)
        picture = picture.resize((size[0], size[1]), Image.Resampling.BOX)
    grey = np.asarray(picture, np.int16)
    return np.pad(grey, [(0, -side % _BLOCK) for side in grey.shape], mode="edge")


def changed(one: Grey, other: Grey) -> Blocks:
    """Return which blocks of two pictures differ."""
    if one.shape != other.shape:
        return np.ones([side // _BLOCK for side in one.shape], bool)
    high, wide = (side // _BLOCK for side in one.shape)
    difference: NDArray[np.float64] = np.abs(one - other).reshape(high, _BLOCK, wide, _BLOCK).mean((1, 3))
    return np.greater(difference, _LEVELS)


def within(blocks: Blocks, box: Box) -> bool:
    """Whether any block that a box touches has changed."""
    (high, wide), (left, top, right, bottom) = blocks.shape, box
    rows = slice(int(top * high), max(int(top * high) + 1, int(np.ceil(bottom * high))))
    columns = slice(int(left * wide), max(int(left * wide) + 1, int(np.ceil(right * wide))))
    return bool(blocks[rows, columns].any())


class Watch:
    """Looks at the pictures of a video, RATE a second.

    history: times and pictures since the screen became another than at the last reading, this one's last.
    last: the picture of the last reading, None before. new: blocks that differ from it now, None before.
    """

    def __init__(self) -> None:
        self.history: list[tuple[float, Grey]] = []
        self.last: Grey | None = None
        self.new: Blocks | None = None
        self._before: Grey | None = None
        self._read_at = 0.0
        self._wait = SOON
        self._share = 0.0

    def look(self, time: float, grey: Grey) -> bool:
        """Take a picture; return whether it is to be read.

        It is when something that the last reading did not have has settled, or has moved for SOON.
        """
        before, self._before = self._before, grey
        if self.last is None or before is None:
            self.history = [(time, grey)]
            return True
        self.new = new = changed(grey, self.last)
        moves = changed(grey, before)
        share, self._share = self._share, float(moves.mean())
        if abs(share - self._share) > _LEAP:
            self._wait = SOON
        if not new.any():
            self.history = []
            return False
        self.history.append((time, grey))
        ready = bool((new & ~moves).any()) or time - self.history[0][0] >= SOON
        return ready and time - self._read_at >= self._wait

    def read(self, something_new: bool) -> None:
        """Take note that the picture looked at last was read."""
        self._read_at, self.last = self.history[-1]
        self._wait = SOON if something_new else min(2 * self._wait, LATE)
        self.history = []
