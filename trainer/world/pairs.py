"""Queries of more than one sentence about a planned world: events in order, and what must not be there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainer.world.judge import Ask, Judge, grades
from trainer.world.language import noun, pick, verb_phrase
from trainer.world.plan import VideoPlan, WorldEvent
from trainer.world.questions import Question, question
from trainer.world.vocabulary import MOTIONS

Placed = tuple[str, WorldEvent]
# Tries for each query: a small world has not so many.
_TRIES = 40


@dataclass(frozen=True, slots=True)
class JudgedChain:
    """Events of a video in order: their spans (parts, 2), and the grade 1..4 of the one that fits least."""

    video: str
    spans: tuple[tuple[float, float], ...]
    grade: int


@dataclass(frozen=True, slots=True)
class OrderedQuery:
    """Sentences of events that follow each other, and all chains of the split that answer them."""

    texts: tuple[str, ...]
    chains: tuple[JudgedChain, ...]


@dataclass(frozen=True, slots=True)
class NegatedQuery:
    """A sentence, what must not be there, and the events that show that: (video, start, end)."""

    text: str
    negative: str
    showing: tuple[tuple[str, float, float], ...]


def ordered_queries(
    videos: Sequence[VideoPlan], count: int, seed: int, within: float = 30.0
) -> list[OrderedQuery]:
    """Ask precisely for two consecutive events of a video, at most `within` seconds apart."""
    rng = np.random.default_rng(seed)
    placed = [(plan.name, event) for plan in videos for event in plan.events]
    judge = Judge([event for _, event in placed])
    near = [row for row in range(len(placed) - 1) if _follows(placed[row], placed[row + 1], within)]
    found = []
    for row in rng.permutation(near)[:count].tolist():
        asked = [question(placed[at][1], "precise", rng) for at in (row, row + 1)]
        both = [one for one in asked if one is not None]
        found.append(OrderedQuery(tuple(one.text for one in both), _chains(both, placed, judge, within)))
    return found


def _chains(
    asked: Sequence[Question], placed: Sequence[Placed], judge: Judge, within: float
) -> tuple[JudgedChain, ...]:
    """Return every pair of events that follow each other and fit, best first."""
    first, second = (grades(judge.shares(one.ask)) for one in asked)
    found = []
    for a in np.flatnonzero(first).tolist():
        for b in np.flatnonzero(second).tolist():
            if _follows(placed[a], placed[b], within):
                spans = tuple((placed[at][1].start, placed[at][1].end) for at in (a, b))
                found.append(JudgedChain(placed[a][0], spans, int(min(first[a], second[b]))))
    return tuple(sorted(found, key=lambda chain: -chain.grade))


def _follows(one: Placed, other: Placed, within: float) -> bool:
    """Whether an event follows another in its video."""
    (video, event), (of, later) = one, other
    return video == of and later.start > event.start and later.start - event.end <= within


def negated_queries(videos: Sequence[VideoPlan], count: int, seed: int) -> list[NegatedQuery]:
    """Ask for a shape or a motion, but not in the colour that an event of it has; others have another one."""
    rng = np.random.default_rng(seed)
    placed = [(plan.name, event) for plan in videos for event in plan.events]
    judge = Judge([event for _, event in placed])
    asked: dict[str, NegatedQuery] = {}
    for _ in range(_TRIES * count):
        if len(asked) == count:
            break
        deed = placed[int(rng.integers(len(placed)))][1].deed
        if rng.random() < 0.5:
            ask, text = Ask(shape=deed.thing.shape), noun(rng, 1, shape=deed.thing.shape)
        else:
            ask = Ask(motions=frozenset({deed.motion}))
            text = f"something {verb_phrase(pick(MOTIONS[deed.motion], rng), 1, rng)}"
        shows = np.array([_shows(event, deed.thing.colour) for _, event in placed])
        if not deed.other and ((judge.shares(ask) > 0.99) & ~shows).any():
            events = [placed[at] for at in np.flatnonzero(shows)]
            showing = tuple((video, event.start, event.end) for video, event in events)
            asked[f"{text}, {deed.thing.colour}"] = NegatedQuery(
                text, f"something {deed.thing.colour}", showing
            )
    return list(asked.values())


def _shows(event: WorldEvent, colour: str) -> bool:
    other = event.deed.other
    return event.deed.thing.colour == colour or (other is not None and other.colour == colour)
