"""Which moments of a list show the same pictures though their videos are others: copies, cuts, new encodings.

Two stretches show the same where, at one offset between their videos, nearly every second looks alike and
most changes from one second to the next are the same: the differences in time of all cells correlate. Changes
tell a copy from another recording of the same place, whose background is alike and whose motion is not (after
Oostveen et al., "Feature extraction and a database strategy for video fingerprinting", 2002). What stands
still (black, a slide, a test picture) has no changes, so it is never evidence.
"""

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.looks import Look
from engine.offsets import CHANGE, CHANGES, SAME_CHANGE, Stretch, offsets, rms, unit
from engine.types import Also, Doubles, Moments

LookOf = Callable[[int], Look]
# (n,) rows of one video, and (n + 1,) of another.
Window = tuple[Look, Look]
# Of two rows: the better one's number and whole seconds between their videos.
_Maybe = list[tuple[int, int]]

MOST = 100  # moments of a list that are compared, the best ones
SOON = 40  # of a list that another is about to replace: what a page shows, and what it hides
MOST_ALSO = 20  # that are told of one
TOGETHER = 16  # moments that are looked at at once: some are compared with one that the same turn leaves out
SAME_SIZE = 2.0  # how much larger one change is than the other
SAME_LOOK = 6.0  # levels of grey, root mean square, means apart
SAME_LIGHT = 12.0  # levels of grey between the means: players and encoders disagree on what is black
OF_CHANGES, OF_SECONDS = 0.75, 0.8  # shares that must be the same
# A copy's seconds begin anywhere between two of the original's: parts of a second that are tried.
SHIFTS = (0.0, 0.5, 1.0)


def merged(moments: Moments, look: LookOf, most: int = MOST) -> Moments:
    """Return the moments without those that show the same as a better one, which are its `also`.

    look: of a video by its ordinal. most: how many are compared, the best ones.
    """
    n = min(len(moments), most)
    named = zip(moments.videos[:n].tolist(), moments.spans[:n].tolist(), strict=True)
    stretches = [Stretch.of(look(video), *span) for video, span in named]
    apart = offsets(moments.videos[:n], stretches)
    kept: list[int] = []
    also: dict[int, list[Also]] = {}
    for first in range(0, n, TOGETHER):
        rows = range(first, min(first + TOGETHER, n))
        likely = _likely(stretches, apart, rows, kept)
        for row in rows:
            maybe = ((one, at) for one, at in likely[row] if one in kept)
            best = next((one for one, at in maybe if _same_at(stretches[one], stretches[row], at)), None)
            if best is None:
                kept.append(row)
            else:
                start, end = moments.spans[row].tolist()
                also.setdefault(best, []).append(Also(int(moments.videos[row]), start, end))
    left = [*kept, *range(n, len(moments))]
    shown = tuple(tuple(also.get(row, ())[:MOST_ALSO]) for row in left)
    return replace(moments.of(np.array(left, np.intp)), also=shown)


def _likely(
    stretches: Sequence[Stretch], apart: Doubles, rows: range, kept: Sequence[int]
) -> dict[int, _Maybe]:
    """Return, of each row, the better ones where nearly every second looks alike, in order.

    They are those that are kept, and those of the same turn.
    """
    pairs = [
        (row, one, at)
        for row in rows
        for one in np.flatnonzero(~np.isnan(apart[:row, row])).tolist()
        if one >= rows.start or one in kept
        for at in _places(stretches[one], stretches[row], apart[one, row])
    ]
    windows = [_window(stretches[one], stretches[row], at) for row, one, at in pairs]
    found = defaultdict[int, _Maybe](list)
    for row, one, at in itertools.compress(pairs, _alike(windows)):
        found[row].append((one, at))
    return found


def _places(one: Stretch, other: Stretch, offset: float) -> set[int]:
    """Return the whole offsets to compare two stretches at; none where less than half of one is in both."""
    needed = max(1.0, min(one.end - one.first, other.end - other.first) / 2)
    if min(one.end + offset, other.end) - max(one.first + offset, other.first) < needed - 1:
        return set()
    return {math.floor(offset), math.floor(offset - 0.5)}


def _same_at(one: Stretch, other: Stretch, offset: int) -> bool:
    """Whether they show the same from the first second of either to the last of either."""
    for wider in (False, True):
        mine, near = _window(one, other, offset, wider)
        if len(mine) > CHANGES:
            same = _shows(mine, near)
            if same is not None:
                return same
    return False


def _window(one: Stretch, other: Stretch, offset: int, wider: bool = False) -> Window:
    """Return what two videos show from the first second of either stretch to the last; or wider than that."""
    whole = Stretch(one.look, min(one.first, other.first - offset), max(one.end, other.end - offset))
    if wider:
        whole = whole.wider()
    first = max(whole.first, 0, -offset)
    end = max(first, min(whole.end, len(one.look), len(other.look) - offset))
    near = other.look[first + offset : end + offset + 1]
    if len(near) == end - first:  # at the end of its video the last second stands for the next
        near = np.concatenate([near, other.look[-1:]])
    return one.look[first:end], near


def _alike(windows: Sequence[Window]) -> NDArray[np.bool_]:
    """Tell of each window whether nearly every second looks alike; of one that is too short, that it may."""
    if not windows:
        return np.zeros(0, bool)
    mine, before, after = (
        np.concatenate(rows).astype(np.float32)
        for rows in zip(*((one, near[:-1], near[1:]) for one, near in windows), strict=True)
    )
    found = np.zeros(len(mine), bool)
    for shift in SHIFTS:
        apart = (1 - shift) * before + shift * after - mine
        mean = apart.mean(-1)
        found |= (rms(apart - mean[:, None]) <= SAME_LOOK) & (np.abs(mean) <= SAME_LIGHT)
    counts = np.array([len(one) for one, _ in windows])
    alike = np.diff(np.concatenate([[0], np.cumsum(found)])[np.concatenate([[0], np.cumsum(counts)])])
    return np.asarray((alike >= OF_SECONDS * counts) | (counts <= CHANGES))


def _shows(one: Look, other: Look) -> bool | None:
    """Whether (n + 1) rows show what (n) rows do, None where too little changes to say so.

    A row of the one is between the other's row of the same number and the next.
    """
    if not _alike([(one, other)])[0]:
        return False
    mine, near = one.astype(np.float32), other.astype(np.float32)
    shifted = np.stack([(1 - shift) * near[:-1] + shift * near[1:] for shift in SHIFTS])
    change, changes = np.diff(mine, axis=0), np.diff(shifted, axis=1)
    size, sizes = rms(change), rms(changes)
    moves = (size > CHANGE) | (sizes.min(0) > CHANGE)
    if moves.sum() < CHANGES:
        return None
    same = (unit(change) * unit(changes)).sum(-1) >= SAME_CHANGE
    same &= np.maximum(size, sizes) <= SAME_SIZE * np.minimum(size, sizes)
    return bool(same.any(0)[moves].mean() >= OF_CHANGES)
