"""Questions about an event: what is asked, and the sentence that asks it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from trainer.world import sayings
from trainer.world import vocabulary as words
from trainer.world.judge import Ask
from trainer.world.language import (
    Generator,
    asked,
    noun,
    pick,
    spoken,
    theme,
    thing_noun,
    tongue,
    verb_phrase,
    where,
)
from trainer.world.plan import WorldEvent


@dataclass(frozen=True, slots=True)
class Question:
    """A sentence, what it asks for, and its kind. twin: the same as a question, where it has that form."""

    text: str
    ask: Ask
    slice: str
    twin: str = ""


def question(event: WorldEvent, kind: str, rng: Generator) -> Question | None:
    """Ask for an event by a kind that a profile names; None where the event has nothing of the kind."""
    return _KINDS[kind](event, rng)


def _precise(event: WorldEvent, rng: Generator) -> Question:
    """Ask for all that matters, and perhaps a detail."""
    deed, thing = event.deed, event.deed.thing
    size = thing.size if thing.size != "medium" and rng.random() < 0.5 else None
    times = deed.times if rng.random() < 0.6 else 0
    background = event.background if rng.random() < 0.15 else None
    other = (thing_noun(deed.other, rng, size=False),) if deed.other else ()
    verb = pick(words.MOTIONS[deed.motion], rng)
    subject = noun(rng, thing.number, size, thing.colour, thing.shape)
    phrase = verb_phrase(verb, thing.number, rng, times, *other)
    if background:
        phrase += f" {pick(words.BACKGROUND_WORDS[background], rng)}"
    motions = frozenset({deed.motion})
    ask = Ask(thing.shape, thing.colour, size, thing.number, motions, times, deed.other, background)
    return Question(f"{subject} {phrase}", ask, "precise", where(subject, phrase, verb, thing.number))


def _imprecise(event: WorldEvent, rng: Generator) -> Question:
    """Ask for one attribute with a vague verb, or for a single attribute."""
    thing, dice = event.deed.thing, rng.random()
    if dice < 0.25:
        motion = event.deed.motion
        rest = ("something",) if event.deed.other else ()
        text = f"something {verb_phrase(pick(words.MOTIONS[motion], rng), 1, rng, 0, *rest)}"
        return Question(text, Ask(motions=frozenset({motion})), "imprecise")
    if dice < 0.5:
        # "Something red" does not ask for one thing; "two red things" asks for two.
        number = thing.number if thing.number > 1 else None
        text = noun(rng, thing.number, colour=thing.colour)
        return Question(text, Ask(colour=thing.colour, number=number), "imprecise")
    coloured = rng.random() < 0.6
    colour, shape = (thing.colour, None) if coloured else (None, thing.shape)
    verb, motions = pick(tuple(v for v in words.VAGUE_VERBS if event.deed.motion in v[1]), rng)
    text = f"{noun(rng, colour=colour, shape=shape)} {verb_phrase(verb, 1, rng)}"
    return Question(text, Ask(shape=shape, colour=colour, motions=motions), "imprecise")


def _temporal(event: WorldEvent, rng: Generator) -> Question | None:
    """Ask for a motion whose twin looks the same in one frame, and give little else to go by."""
    deed, dice = event.deed, rng.random()
    if deed.motion not in words.DIRECTED_MOTIONS:
        return None
    shape = deed.thing.shape if dice < 0.7 else None
    colour = deed.thing.colour if dice > 0.4 else None
    rest = ("something",) if deed.other else ()
    verb = pick(words.MOTIONS[deed.motion], rng)
    action = verb_phrase(verb, 1, rng, 0, *rest)
    subject = noun(rng, shape=shape, colour=colour)
    ask = Ask(shape=shape, colour=colour, motions=frozenset({deed.motion}))
    return Question(f"{subject} {action}", ask, "temporal", where(subject, action, verb, 1))


def _glimpse(event: WorldEvent, rng: Generator) -> Question:
    """Ask as vaguely as `_imprecise`, or for a look without saying what it does: "a purple star"."""
    if rng.random() < 0.75:
        return _imprecise(event, rng)
    thing = event.deed.thing
    text = noun(rng, 1, colour=thing.colour, shape=thing.shape)
    return Question(text, Ask(shape=thing.shape, colour=thing.colour), "imprecise")


def _subtitle(event: WorldEvent, rng: Generator, seen: float = 0.4) -> Question | None:
    """Ask for what is said, and perhaps what is to be seen meanwhile."""
    if event.speech is None or tongue(event) != "plain":
        return None
    text = spoken(event, rng) or ""
    colour = event.deed.thing.colour if rng.random() < seen else None
    if colour:
        text += f" while {noun(rng, colour=colour)} is {pick(('seen', 'shown', 'there'), rng)}"
    return Question(text, Ask(colour=colour, facts=event.speech.facts), "subtitle", asked(text))


def _temporal_only(event: WorldEvent, rng: Generator) -> Question | None:
    asking = _temporal(event, rng)
    return replace(asking, slice="temporal-only") if asking else None


def _subtitle_only(event: WorldEvent, rng: Generator) -> Question | None:
    """Ask for what is said alone: the picture helps nobody."""
    asking = _subtitle(event, rng, seen=0.0)
    return replace(asking, slice="subtitle-only") if asking else None


def _paraphrase(event: WorldEvent, rng: Generator) -> Question | None:
    """Ask for what a line means in other words than its own."""
    if event.speech is None or tongue(event) != "paraphrase":
        return None
    text, twin = pick(theme(event.speech.facts[0][1]).asked, rng)
    return Question(text, Ask(facts=event.speech.facts), "paraphrase", twin)


def _second_language(event: WorldEvent, rng: Generator) -> Question | None:
    """Ask for a German line, in German or in English."""
    if event.speech is None or tongue(event) != "german":
        return None
    facts = dict(event.speech.facts)
    if rng.random() < 0.5:
        text = spoken(event, rng) or ""
        return Question(text, Ask(facts=event.speech.facts), "second-language", asked(text))
    saying = next(saying for saying in sayings.SAYINGS if set(saying.kinds) == facts.keys())
    text, twin = (form.format(**facts) for form in saying.asked)
    return Question(text, Ask(facts=event.speech.facts), "second-language", twin)


def _screen_text_only(event: WorldEvent, rng: Generator) -> Question | None:
    """Ask for what is written on the screen alone: a whole number plate, half of one, a sign, a slide."""
    if event.sign is None:
        return None
    kind, value = pick(event.sign.facts, rng)
    text, twin = (form.format(value) for form in pick(sayings.WRITTEN[kind], rng))
    return Question(text, Ask(facts=((kind, value),)), "screen-text-only", twin)


_KINDS: dict[str, Callable[[WorldEvent, Generator], Question | None]] = {
    "precise": _precise,
    "imprecise": _imprecise,
    "temporal": _temporal,
    "subtitle": _subtitle,
    "glimpse": _glimpse,
    "temporal-only": _temporal_only,
    "subtitle-only": _subtitle_only,
    "paraphrase": _paraphrase,
    "second-language": _second_language,
    "screen-text-only": _screen_text_only,
}
