"""Where, if anywhere, one stretch of pictures may be another's: the offset between their videos' seconds.

Changes from one second to the next are looked for, a few of each stretch, in all others at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.looks import Look
from engine.types import Doubles, Floats

CHANGE = 1.5  # levels of grey, root mean square: less is what encoders do to a still picture
SAME_CHANGE = 0.7  # correlation
CHANGES = 3  # that are needed
WIDER = 10  # seconds on both sides that are taken in where a stretch has too few changes
LONGEST = 30  # seconds of a stretch that are compared
PROBES, VOTES = 4, 2  # changes that are looked for in another stretch; those that must agree where it begins


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
        moves = np.flatnonzero((rms(change) > CHANGE) & (of[1:] == of[:-1]))
        return _Changes(of[moves], seconds[moves].astype(np.float64), unit(change[moves]))

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
            np.concatenate([self.units, unit(self.units[near] + self.units[near + 1])]),
        )
        return all_of.some(np.arange(len(all_of.of)))


def offsets(videos: NDArray[np.int32], stretches: Sequence[Stretch]) -> Doubles:
    """Return (n, n) what to add to a second of a row's video to get the column's; NaN where nothing tells.

    Each probe is a vote for the place where it is found; VOTES of them have to agree, to a second.
    """
    n = len(stretches)
    apart = np.full((n, n), np.nan)
    if n < 2:
        return apart
    found = _changes(stretches)
    rows, firsts, counts = np.unique(found.of, return_index=True, return_counts=True)
    if len(rows) < 2:
        return apart
    # PROBES of each, evenly.
    evenly = firsts[:, None] + (np.linspace(0, 1, PROBES) * (counts - 1)[:, None]).astype(np.intp)
    probes = found.some(evenly.ravel())
    places = found.and_halves()
    alike = probes.units @ places.units.T
    probe, place = np.divmod(np.flatnonzero(alike.ravel() >= SAME_CHANGE), len(places.rows))
    others = videos[probes.of[probe]] != videos[places.of[place]]
    probe, place = probe[others], place[others]
    column = np.searchsorted(rows, places.of[place])
    best = _firsts_of_most(probe * len(rows) + column, alike[probe, place])
    probe, place, column = probe[best], place[best], column[best]
    votes = np.full((len(probes.rows), len(rows)), np.nan)
    votes[probe, column] = places.rows[place] - probes.rows[probe]
    each = votes.reshape(len(rows), PROBES, len(rows))
    agree = (np.abs(each[:, :, None] - each[:, None]) <= 1).sum(2)
    chosen = np.take_along_axis(each, agree.argmax(1)[:, None], 1)[:, 0]
    apart[np.ix_(rows, rows)] = np.where(agree.max(1) >= VOTES, chosen, np.nan)
    return np.where(np.isnan(apart), -apart.T, apart)


def _firsts_of_most(groups: NDArray[np.intp], values: Floats) -> NDArray[np.intp]:
    """Return where in each of ascending groups its largest value is first."""
    if not len(groups):
        return groups
    starts = np.flatnonzero(np.append(True, np.diff(groups) != 0))
    sizes = np.diff(np.append(starts, len(groups)))
    most = np.flatnonzero(values == np.repeat(np.maximum.reduceat(values, starts), sizes))
    firsts: NDArray[np.intp] = most[np.append(True, np.diff(groups[most]) != 0)]
    return firsts


def _changes(stretches: Sequence[Stretch]) -> _Changes:
    """Return what changes in stretches; in one with less than CHANGES, and in what is on both sides of it.

    A stretch that has too few even then has none.
    """
    few = _Changes.between(stretches).counts(len(stretches)) < CHANGES
    taken = [one.wider() if wider else one for one, wider in zip(stretches, few.tolist(), strict=True)]
    found = _Changes.between(taken)
    enough = found.counts(len(stretches)) >= CHANGES
    return found.some(np.flatnonzero(enough[found.of]))


def rms(rows: Floats) -> Floats:
    """Return the root mean square of each row."""
    found: Floats = np.sqrt(np.square(rows).mean(-1))
    return found


def unit(rows: Floats) -> Floats:
    """Return rows of length 1; zeros stay."""
    found: Floats = rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-6)
    return found
