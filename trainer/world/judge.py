"""Grade (query, event) pairs by what they share. Pure functions on columns of small integers."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trainer.world.plan import Thing, WorldEvent
from trainer.world.vocabulary import MUTUAL_MOTIONS, SIZES

Floats = NDArray[np.float64]
_SIZE_STEPS = {size: step for step, size in enumerate(SIZES)}
# The least share of what was asked for grades 1, 2, 3 and 4. One of two things asked is not enough.
_GRADES = (0.501, 0.64, 0.8, 0.999)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a query asks for; None or empty where it does not say. `motions`: any of these will do."""

    shape: str | None = None
    colour: str | None = None
    size: str | None = None
    number: int | None = None
    motions: frozenset[str] = frozenset()
    times: int = 0
    other: Thing | None = None
    background: str | None = None
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AskWeights:
    """How much each thing asked counts. Size, times and the rest are details: missing one costs a grade."""

    shape: float = 3.0
    colour: float = 3.0
    motion: float = 3.0
    vague_motion: float = 2.0
    motion_alone: float = 4.0
    number: float = 1.5
    size: float = 1.0
    times: float = 1.0
    other: float = 1.0
    background: float = 1.0
    first_fact: float = 4.0
    next_fact: float = 1.5


WEIGHTS = AskWeights()


class Judge:
    """Judges queries against a fixed list of events."""

    def __init__(self, events: Sequence[WorldEvent]) -> None:
        deeds = [event.deed for event in events]
        self._things = _columns([deed.thing for deed in deeds])
        self._others = _columns([deed.other for deed in deeds])
        self._motions = np.array([deed.motion for deed in deeds])
        self._times = np.array([deed.times for deed in deeds])
        self._backgrounds = np.array([event.background for event in events])
        self._facts = [frozenset(event.facts) for event in events]
        # Who is hidden behind is seen as well, but does not do what was asked.
        self._turned = np.where(np.isin(self._motions, list(MUTUAL_MOTIONS)), 1.0, 0.5)

    def shares(self, ask: Ask) -> Floats:
        """Return the share of what was asked that each event has, (events,) float64 in 0..1."""
        got, asked = self._subject(ask)
        for weight, matches in self._circumstances(ask):
            got, asked = got + weight * matches, asked + weight
        return got / asked

    def _subject(self, ask: Ask) -> tuple[Floats, float]:
        """Match the things as asked, or with the two of a pair swapped, whichever fits better."""
        straight, asked = _match(ask, self._things, self._others)
        swapped, _ = _match(ask, self._others, self._things)
        return np.maximum(straight, swapped * self._turned), asked

    def _circumstances(self, ask: Ask) -> list[tuple[float, Floats]]:
        found: list[tuple[float, Floats]] = []
        if ask.motions:
            found.append((_motion_weight(ask), np.isin(self._motions, list(ask.motions)).astype(np.float64)))
        if ask.times:
            found.append((WEIGHTS.times, (self._times == ask.times).astype(np.float64)))
        if ask.background:
            found.append((WEIGHTS.background, (self._backgrounds == ask.background).astype(np.float64)))
        for place, fact in enumerate(ask.facts):
            weight = WEIGHTS.next_fact if place else WEIGHTS.first_fact
            found.append((weight, np.array([float(fact in facts) for facts in self._facts])))
        return found


def grades(shares: Floats) -> NDArray[np.int64]:
    """Turn shares into relevance 0..4: 4 has all that was asked, 0 half of it or less."""
    return np.searchsorted(np.array(_GRADES), shares, side="right")


def similarities(shares: Floats, rng: np.random.Generator) -> Floats:
    """Turn shares into caption similarities in -1..1, about 0 for strangers, with a little noise."""
    return np.clip(0.95 * shares**2 + rng.normal(0.0, 0.03, len(shares)), -1.0, 1.0).round(4)


def _motion_weight(ask: Ask) -> float:
    if len(ask.motions) > 1:
        return WEIGHTS.vague_motion
    return WEIGHTS.motion if ask.shape and ask.colour and ask.number else WEIGHTS.motion_alone


@dataclass(frozen=True, slots=True)
class _Columns:
    """Attributes of one thing an event; empty strings and a size of -9 where there is none."""

    shapes: NDArray[np.str_]
    colours: NDArray[np.str_]
    sizes: NDArray[np.int64]
    numbers: NDArray[np.int64]


def _columns(things: Sequence[Thing | None]) -> _Columns:
    return _Columns(
        np.array([thing.shape if thing else "" for thing in things]),
        np.array([thing.colour if thing else "" for thing in things]),
        np.array([_SIZE_STEPS[thing.size] if thing else -9 for thing in things]),
        np.array([thing.number if thing else 0 for thing in things]),
    )


def _match(ask: Ask, things: _Columns, others: _Columns) -> tuple[Floats, float]:
    """Return the weight matched by each event and the weight asked for."""
    parts: list[tuple[float, NDArray[np.bool_] | Floats]] = []
    if ask.shape:
        parts.append((WEIGHTS.shape, things.shapes == ask.shape))
    if ask.colour:
        parts.append((WEIGHTS.colour, things.colours == ask.colour))
    if ask.number:
        parts.append((WEIGHTS.number, things.numbers == ask.number))
    if ask.size:
        steps = np.abs(things.sizes - _SIZE_STEPS[ask.size])
        parts.append((WEIGHTS.size, np.clip(1.0 - steps / 2, 0.0, 1.0)))
    if ask.other:
        parts.append((WEIGHTS.other, others.shapes == ask.other.shape))
        parts.append((WEIGHTS.other, others.colours == ask.other.colour))
    got = np.zeros(len(things.shapes))
    for weight, matches in parts:
        got += weight * matches
    return got, sum(weight for weight, _ in parts)
