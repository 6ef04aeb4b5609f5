"""Say what happens, in varied wording: captions of events, and phrases that queries are made of."""

from typing import TypeVar

import numpy as np

from trainer.world import sayings
from trainer.world import vocabulary as words
from trainer.world.plan import Thing, WorldEvent
from trainer.world.themes import THEMES, Theme
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


def where(subject: str, phrase: str, verb: Verb, number: int) -> str:
    """Ask for what "subject phrase" states; phrase begins with a form of the verb."""
    rest = phrase.partition(" ")[2]
    return f"where {'does' if number == 1 else 'do'} {subject} {verb.base} {rest}".rstrip() + "?"


def asked(report: str) -> str:
    """Ask for what a report of a spoken line states.

    >>> asked("someone mentions Maria and the garden")
    'where does someone mention Maria and the garden?'
    """
    before, found, after = report.partition(" are mentioned")
    if found:
        return f"where are {before} mentioned{after}?"
    start = next(start for start in sayings.REPORTED if report.startswith(start))
    return f"{sayings.REPORTED[start]}{report.removeprefix(start)}?"


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
    if "theme" in facts:
        return pick(theme(facts["theme"]).asked, rng)[0]
    facts = {kind: sayings.GERMAN[kind].get(value, value) for kind, value in facts.items()}
    reports = next(reports for kinds, _, reports in words.SPEECHES if set(kinds) == set(facts))
    return pick(reports, rng).format(**facts)


def theme(name: str) -> Theme:
    """Return what a paraphrase means, by its name."""
    return next(theme for theme in THEMES if theme.name == name)


def tongue(event: WorldEvent) -> str:
    """Return how an event's line speaks: "plain", "paraphrase", "german", or "" for no line."""
    facts = event.speech.facts if event.speech else ()
    if any(kind == "theme" for kind, _ in facts):
        return "paraphrase"
    german = any(value in sayings.GERMAN[kind] for kind, value in facts)
    return "german" if german else "plain" if facts else ""


def _where(event: WorldEvent, rng: Generator, chance: float) -> str:
    return f" {pick(words.BACKGROUND_WORDS[event.background], rng)}" if rng.random() < chance else ""
