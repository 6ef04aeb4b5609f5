"""Which moments of a list show the same pictures though their videos are others: copies, cuts, new encodings.

Two stretches show the same where, at one offset between their videos, nearly every second looks alike and
most changes from one second to the next are the same: the differences in time of all cells correlate. Changes
tell a copy from another recording of the same place, whose background is alike and whose motion is not (after
Oostveen et al., "Feature extraction and a database strategy for video fingerprinting", 2002). What stands
still (black, a slide, a test picture) has no changes, so it is never evidence.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.looks import Look
from engine.types import Also, Doubles, Floats, Moments

LookOf = Callable[[int], Look]
# (n,) rows of one video, and (n + 1,) of another.
Window = tuple[Look, Look]

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


@dataclass(frozen=True, slots=True)
class _Changes:
    """What changes from `rows` (n,) seconds of videos to the next: (n, CELLS) at unit length.

    of: (n,) the number of each one's stretch, ascending.
    """

    of: NDArray[np.intp]
    rows: Doubles
    units: Floats

    @staticmethod
    def between(stretches: Sequence[Stretch]) -> "_Changes":
        """Return those of stretches, but what encoders do to a still picture."""
        parts = [stretch.look[stretch.first : stretch.end] for stretch in stretches]
        of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        seconds = np.concatenate([np.arange(stretch.first, stretch.end) for stretch in stretches])
        change = np.diff(np.concatenate(parts).astype(np.float32), axis=0)
        moves = np.flatnonzero((_rms(change) > CHANGE) & (of[1:] == of[:-1]))
        return _Changes(of[moves], seconds[moves].astype(np.float64), _unit(change[moves]))

    def counts(self, stretches: int) -> NDArray[np.intp]:
        """Return how many each of so many stretches has."""
        return np.bincount(self.of, minlength=stretches)

    def some(self, rows: NDArray[np.intp]) -> "_Changes":
        """Return some of them, by stretch."""
        rows = rows[np.argsort(self.of[rows], kind="stable")]
        return _Changes(self.of[rows], self.rows[rows], self.units[rows])

    def and_halves(self) -> "_Changes":
        """Return them, and what is halfway between each two of a stretch that follow each other."""
        near = np.flatnonzero((np.diff(self.rows) == 1) & (np.diff(self.of) == 0))
        all_of = _Changes(
            np.concatenate([self.of, self.of[near]]),
            np.concatenate([self.rows, self.rows[near] + 0.5]),
            np.concatenate([self.units, _unit(self.units[near] + self.units[near + 1])]),
        )
        return all_of.some(np.arange(len(all_of.of)))


def merged(moments: Moments, look: LookOf) -> Moments:
    """Return the moments without those that show the same as a better one, which are its `also`.

    look: of a video by its ordinal.
    """
    n = min(len(moments), MOST)
    named = zip(moments.videos[:n].tolist(), moments.spans[:n].tolist(), strict=True)
    stretches = [Stretch.of(look(video), *span) for video, span in named]
    offsets = _offsets(moments.videos[:n], stretches)
    tells_of = ~np.isnan(offsets)
    kept: list[int] = []
    also: dict[int, list[Also]] = {}
    for row, stretch in enumerate(stretches):
        told = [one for one, tells in zip(kept, tells_of[kept, row].tolist(), strict=True) if tells]
        maybe = [(one, at) for one in told for at in _places(stretches[one], stretch, offsets[one, row])]
        likely = _alike([_window(stretches[one], stretch, at) for one, at in maybe])
        pairs = itertools.compress(maybe, likely)
        best = next((one for one, at in pairs if _same_at(stretches[one], stretch, at)), None)
        if best is None:
            kept.append(row)
        else:
            start, end = moments.spans[row].tolist()
            also.setdefault(best, []).append(Also(int(moments.videos[row]), start, end))
    rows = [*kept, *range(n, len(moments))]
    shown = tuple(tuple(also.get(row, ())[:MOST_ALSO]) for row in rows)
    return replace(moments.of(np.array(rows, np.intp)), also=shown)


def _offsets(videos: NDArray[np.int32], stretches: Sequence[Stretch]) -> Doubles:
    """Return (n, n) what to add to a second of a row's video to get the column's; NaN where nothing tells.

    Each probe is a vote for the place where it is found; VOTES of them have to agree, to a second.
    """
    n = len(stretches)
    offsets = np.full((n, n), np.nan)
    if n < 2:
        return offsets
    found = _changes(stretches)
    rows, firsts, counts = np.unique(found.of, return_index=True, return_counts=True)
    if len(rows) < 2:
        return offsets
    # PROBES of each, evenly.
    evenly = firsts[:, None] + (np.linspace(0, 1, PROBES) * (counts - 1)[:, None]).astype(np.intp)
    probes = found.some(evenly.ravel())
    places = found.and_halves()
    alike = probes.units @ places.units.T
    ends = np.searchsorted(places.of, rows, side="right")
    votes = np.full((len(probes.rows), len(rows)), np.nan)
    for column, (first, end) in enumerate(zip([0, *ends], ends, strict=False)):
        best = alike[:, first:end].argmax(1)
        most = alike[np.arange(len(best)), first + best]
        apart = places.rows[first + best] - probes.rows
        votes[:, column] = np.where(most < SAME_CHANGE, np.nan, apart)
    each = votes.reshape(len(rows), PROBES, len(rows))
    agree = (np.abs(each[:, :, None] - each[:, None]) <= 1).sum(2)
    chosen = np.take_along_axis(each, agree.argmax(1)[:, None], 1)[:, 0]
    offsets[np.ix_(rows, rows)] = np.where(agree.max(1) >= VOTES, chosen, np.nan)
    offsets[videos[:, None] == videos[None]] = np.nan
    return np.where(np.isnan(offsets), -offsets.T, offsets)


def _changes(stretches: Sequence[Stretch]) -> _Changes:
    """Return what changes in stretches; in one with less than CHANGES, and in what is on both sides of it.

    A stretch that has too few even then has none.
    """
    few = _Changes.between(stretches).counts(len(stretches)) < CHANGES
    taken = [one.wider() if wider else one for one, wider in zip(stretches, few.tolist(), strict=True)]
    found = _Changes.between(taken)
    enough = found.counts(len(stretches)) >= CHANGES
    return found.some(np.flatnonzero(enough[found.of]))


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
        found |= (_rms(apart - mean[:, None]) <= SAME_LOOK) & (np.abs(mean) <= SAME_LIGHT)
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
