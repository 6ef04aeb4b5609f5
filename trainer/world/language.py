"""Say what happens, in varied wording: captions of events, and phrases that queries are made of."""

from typing import TypeVar

import numpy as np

from trainer.world import vocabulary as words
from trainer.world.plan import Thing, WorldEvent
from trainer.world.vocabulary import Verb

Generator = np.random.Generator
T = TypeVar("T")


def pick(options: tuple[T, ...], rng: Generator) -> T:
    """Choose one of the options."""
    return options[int(rng.integers(len(options)))]


def noun(
    rng: Generator,
    number: int = 1,
    size: str | None = None,
    colour: str | None = None,
    shape: str | None = None,
) -> str:
    """Name a thing by what is known of it: "a big red ball", "two green boxes", "something red"."""
    size_word = pick(words.SIZE_WORDS[size], rng) if size else ""
    colour_word = pick(words.COLOUR_WORDS[colour], rng) if colour else ""
    if shape is None and number == 1 and rng.random() < 0.7:
        return " ".join(part for part in ("something", size_word, colour_word) if part)
    name = pick(words.SHAPE_WORDS[shape] if shape else (("thing", "things"), ("object", "objects")), rng)
    phrase = " ".join(part for part in (size_word, colour_word, name[number > 1]) if part)
    article = pick(words.NUMBER_WORDS[number], rng)
    return f"{'an' if article == 'a' and phrase[0] in 'aeiou' else article} {phrase}"


def thing_noun(thing: Thing, rng: Generator, size: bool = True) -> str:
    """Name a thing by all that is to be seen of it; a medium size goes without saying."""
    return noun(rng, thing.number, thing.size if size else None, thing.colour, thing.shape)


def verb_phrase(verb: Verb, number: int, rng: Generator, times: int = 0, *rest: str) -> str:
    """Conjugate for so many things, now and then as a gerund: "bounces twice", "bouncing", "bounce"."""
    form = verb.gerund if rng.random() < 0.3 else verb.third if number == 1 else verb.base
    times_word = pick(words.TIMES_WORDS[times], rng) if times else ""
    return " ".join(part for part in (form, verb.rest, *rest, times_word) if part)


def caption(event: WorldEvent, rng: Generator) -> str:
    """Say what is to be seen during an event."""
    deed = event.deed
    subject = thing_noun(deed.thing, rng, size=rng.random() < 0.7)
    other = (thing_noun(deed.other, rng, size=rng.random() < 0.3),) if deed.other else ()
    action = verb_phrase(pick(words.MOTIONS[deed.motion], rng), deed.thing.number, rng, deed.times, *other)
    return f"{subject} {action}{_where(event, rng, 0.3)}"


def still(event: WorldEvent, rng: Generator) -> str:
    """Say what one frame of an event shows: nothing about motion."""
    deed = event.deed
    size = deed.motion not in ("grow", "shrink")
    things = [thing_noun(thing, rng, size) for thing in (deed.thing, deed.other) if thing]
    return " and ".join(things) + _where(event, rng, 0.5)


def spoken(event: WorldEvent, rng: Generator) -> str | None:
    """Say what is said during an event, as one who reports it."""
    if event.speech is None:
        return None
    facts = dict(event.speech.facts)
    reports = next(reports for kinds, _, reports in words.SPEECHES if set(kinds) == set(facts))
    return pick(reports, rng).format(**facts)


def _where(event: WorldEvent, rng: Generator, chance: float) -> str:
    return f" {pick(words.BACKGROUND_WORDS[event.background], rng)}" if rng.random() < chance else ""
