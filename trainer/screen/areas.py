"""Reads of a picture only the part that is new: what stands beside it was read before."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.texts import Box
from trainer.screen.engine import Reading, ScreenEngine
from trainer.screen.watching import Blocks

# Around what is new, in shares of the picture: room for the rest of a word.
_MARGIN = 0.04
# A larger part is not worth cutting out.
_MOST = 0.6
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


def read_new(
    engine: ScreenEngine, image: NDArray[np.uint8], new: Blocks | None, before: Sequence[Reading]
) -> list[Reading]:
    """Return all texts of a picture, (h, w, 3) RGB. new: blocks that changed since it had `before`.

    None: all of it is new.
    """
    left, top, right, bottom = area = _WHOLE if new is None else _area(new, before)
    if (right - left) * (bottom - top) > _MOST:
        return engine.read(image)
    high, wide = image.shape[:2]
    rows = slice(int(top * high), max(int(top * high) + 1, round(bottom * high)))
    columns = slice(int(left * wide), max(int(left * wide) + 1, round(right * wide)))
    part = image[rows, columns]
    scale = np.array([part.shape[1] / wide, part.shape[0] / high] * 2)
    corner = np.array([columns.start / wide, rows.start / high] * 2)
    found = []
    for reading in engine.read(part):
        sides = [round(float(side), 3) for side in corner + scale * reading.box]
        found.append(replace(reading, box=(sides[0], sides[1], sides[2], sides[3])))
    return [*(reading for reading in before if not _touch(reading.box, area)), *found]


def _area(new: Blocks, before: Sequence[Reading]) -> Box:
    """Return the part that holds all that is new, and the whole of each text that it touches."""
    (high, wide), (rows, columns) = new.shape, np.nonzero(new)
    area = _around(
        (columns.min() / wide, rows.min() / high, (columns.max() + 1) / wide, (rows.max() + 1) / high)
    )
    apart = list(before)
    while touched := [reading for reading in apart if _touch(reading.box, area)]:
        apart = [reading for reading in apart if not _touch(reading.box, area)]
        for reading in touched:
            area = _union(area, _around(reading.box))
    return area


def _around(box: Box) -> Box:
    left, top, right, bottom = box
    return (
        max(0.0, left - _MARGIN),
        max(0.0, top - _MARGIN),
        min(1.0, right + _MARGIN),
        min(1.0, bottom + _MARGIN),
    )


def _union(one: Box, other: Box) -> Box:
    return min(one[0], other[0]), min(one[1], other[1]), max(one[2], other[2]), max(one[3], other[3])


def _touch(one: Box, other: Box) -> bool:
    across = one[0] < other[2] and other[0] < one[2]
    return across and one[1] < other[3] and other[1] < one[3]
