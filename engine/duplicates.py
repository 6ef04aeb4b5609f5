"""Which moments of a list show the same pictures though their videos are others: copies, cuts, new encodings.

Two stretches show the same where, at one offset between their videos, nearly every second looks alike and
most changes from one second to the next are the same: the differences in time of all cells correlate. Changes
tell a copy from another recording of the same place, whose background is alike and whose motion is not (after
Oostveen et al., "Feature extraction and a database strategy for video fingerprinting", 2002). What stands
still (black, a slide, a test picture) has no changes, so it is never evidence.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.looks import Look
from engine.types import Also, Doubles, Floats, Moments

LookOf = Callable[[int], Look]

MOST = 100  # moments of a list that are compared, the best ones
MOST_ALSO = 20  # that are told of one
CHANGE = 1.5  # levels of grey, root mean square: less is what encoders do to a still picture
SAME_CHANGE, SAME_SIZE = 0.7, 2.0  # correlation; how much larger one is than the other
SAME_LOOK = 6.0  # levels of grey, root mean square, means apart
SAME_LIGHT = 12.0  # levels of grey between the means: players and encoders disagree on what is black
CHANGES, OF_CHANGES, OF_SECONDS = 3, 0.75, 0.8  # changes needed; shares that must be the same
WIDER = 10  # seconds on both sides that are taken in where a stretch has too few changes
LONGEST = 30  # seconds of a stretch that are compared
PROBES, VOTES = 4, 2  # changes that are looked for in another stretch; those that must agree where it begins
# A copy's seconds begin anywhere between two of the original's: parts of a second that are tried.
SHIFTS = (0.0, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds [first, end) of a video's look."""

    look: Look
    first: int
    end: int

    @staticmethod
    def of(look: Look, start: float, end: float) -> "Stretch":
        """Return that of a span, the middle of a long one."""
        first, last = min(int(start), len(look)), min(math.ceil(end), len(look))
        spare = max(0, last - first - LONGEST) // 2
        return Stretch(look, first + spare, min(last, first + spare + LONGEST))

    def wider(self) -> "Stretch":
        """Return it with what is on both sides."""
        return replace(self, first=max(0, self.first - WIDER), end=min(len(self.look), self.end + WIDER))

    def changes(self) -> "_Changes":
        """Return its changes, and where there are too few of them those of both sides too."""
        found = _Changes.of(self)
        return found if len(found.rows) >= CHANGES else _Changes.of(self.wider())


@dataclass(frozen=True, slots=True)
class _Changes:
    """What changes from `rows` (n,) seconds of a video to the next: (n, CELLS) at unit length."""

    rows: Doubles
    units: Floats

    @staticmethod
    def of(stretch: Stretch) -> "_Changes":
        """Return those of a stretch, but what encoders do to a still picture."""
        change = np.diff(stretch.look[stretch.first : stretch.end].astype(np.float32), axis=0)
        moves = np.flatnonzero(_rms(change) > CHANGE)
        return _Changes((moves + stretch.first).astype(np.float64), _unit(change[moves]))

    def some(self) -> "_Changes":
        """Return PROBES of them, evenly."""
        chosen = np.linspace(0, len(self.rows) - 1, PROBES).astype(int)
        return _Changes(self.rows[chosen], self.units[chosen])

    def between(self) -> "_Changes":
        """Return them, and what is halfway between each two that follow each other."""
        near = np.flatnonzero(np.diff(self.rows) == 1)
        halves = _unit(self.units[near] + self.units[near + 1])
        return _Changes(
            np.concatenate([self.rows, self.rows[near] + 0.5]), np.concatenate([self.units, halves])
        )


def merged(moments: Moments, look: LookOf) -> Moments:
    """Return the moments without those that show the same as a better one, which are its `also`.

    look: of a video by its ordinal.
    """
    n = min(len(moments), MOST)
    named = zip(moments.videos[:n].tolist(), moments.spans[:n].tolist(), strict=True)
    stretches = [Stretch.of(look(video), *span) for video, span in named]
    offsets = _offsets(moments.videos[:n], stretches)
    kept: list[int] = []
    also: dict[int, list[Also]] = {}
    for row, stretch in enumerate(stretches):
        maybe = (one for one in kept if not math.isnan(offsets[one, row]))
        best = next((one for one in maybe if _shown_by(stretches[one], stretch, offsets[one, row])), None)
        if best is None:
            kept.append(row)
        else:
            start, end = moments.spans[row].tolist()
            also.setdefault(best, []).append(Also(int(moments.videos[row]), start, end))
    rows = [*kept, *range(n, len(moments))]
    told = tuple(tuple(also.get(row, ())[:MOST_ALSO]) for row in rows)
    return replace(moments.of(np.array(rows, np.intp)), also=told)


def _offsets(videos: NDArray[np.int32], stretches: Sequence[Stretch]) -> Doubles:
    """Return (n, n) what to add to a second of a row's video to get the column's; NaN where nothing tells.

    Each probe is a vote for the place where it is found; VOTES of them have to agree, to a second.
    """
    n = len(stretches)
    offsets = np.full((n, n), np.nan)
    found = [stretch.changes() for stretch in stretches]
    rows = np.array([row for row, changes in enumerate(found) if len(changes.rows) >= CHANGES], np.intp)
    if len(rows) < 2:
        return offsets
    probes = [found[row].some() for row in rows]
    units, seconds = (
        np.concatenate([one.units for one in probes]),
        np.concatenate([one.rows for one in probes]),
    )
    for row in rows:
        places = found[row].between()
        alike = units @ places.units.T
        apart = places.rows[alike.argmax(1)] - seconds
        apart[alike.max(1) < SAME_CHANGE] = np.nan
        votes = apart.reshape(len(rows), PROBES)
        agree = (np.abs(votes[:, :, None] - votes[:, None]) <= 1).sum(2)
        best = np.take_along_axis(votes, agree.argmax(1)[:, None], 1)[:, 0]
        offsets[rows, row] = np.where(agree.max(1) >= VOTES, best, np.nan)
    offsets[videos[:, None] == videos[None]] = np.nan
    return np.where(np.isnan(offsets), -offsets.T, offsets)


def _shown_by(one: Stretch, other: Stretch, offset: float) -> bool:
    """Whether two stretches show the same at an offset, where half of the shorter one or more is in both."""
    needed = max(1.0, min(one.end - one.first, other.end - other.first) / 2)
    if min(one.end + offset, other.end) - max(one.first + offset, other.first) < needed - 1:
        return False
    return any(_same_at(one, other, at) for at in {math.floor(offset), math.floor(offset - 0.5)})


def _same_at(one: Stretch, other: Stretch, offset: int) -> bool:
    """Whether they show the same from the first second of either to the last of either."""
    whole = Stretch(one.look, min(one.first, other.first - offset), max(one.end, other.end - offset))
    for stretch in (whole, whole.wider()):
        first = max(stretch.first, 0, -offset)
        end = min(stretch.end, len(one.look), len(other.look) - offset)
        if end - first > CHANGES:
            mine, rows = one.look[first:end], np.arange(first, end + 1) + offset
            same = _shows(mine, other.look[rows.clip(0, len(other.look) - 1)])
            if same is not None:
                return same
    return False


def _shows(one: Look, other: Look) -> bool | None:
    """Whether (n + 1) rows show what (n) rows do, None where too little changes to say so.

    A row of the one is between the other's row of the same number and the next.
    """
    mine, near = one.astype(np.float32), other.astype(np.float32)
    shifted = np.stack([(1 - shift) * near[:-1] + shift * near[1:] for shift in SHIFTS])
    apart = shifted - mine
    mean = apart.mean(-1, keepdims=True)
    alike = (_rms(apart - mean) <= SAME_LOOK) & (np.abs(mean[..., 0]) <= SAME_LIGHT)
    if alike.any(0).mean() < OF_SECONDS:
        return False
    change, changes = np.diff(mine, axis=0), np.diff(shifted, axis=1)
    size, sizes = _rms(change), _rms(changes)
    moves = (size > CHANGE) | (sizes.min(0) > CHANGE)
    if moves.sum() < CHANGES:
        return None
    same = (_unit(change) * _unit(changes)).sum(-1) >= SAME_CHANGE
    same &= np.maximum(size, sizes) <= SAME_SIZE * np.minimum(size, sizes)
    return bool(same.any(0)[moves].mean() >= OF_CHANGES)


def _rms(rows: Floats) -> Floats:
    found: Floats = np.sqrt(np.square(rows).mean(-1))
    return found


def _unit(rows: Floats) -> Floats:
    found: Floats = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-6)
    return found
