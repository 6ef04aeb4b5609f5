"""What the profiles with texts add to a planned video: signs, paraphrases, German. Deeds stay as they are.

A sign is shown exactly while its event lasts, in a scene of its own. Every line keeps its time.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trainer.world import sayings as words
from trainer.world.plan import Scene, Sign, SpokenLine, VideoPlan, WorldEvent
from trainer.world.themes import THEMES

_GERMAN, _PARAPHRASED, _SIGNED, _AGAIN = 0.3, 0.4, 0.35, 0.25
_BESIDE = np.array([0.45, 0.3, 0.25])  # plates, signs, slides


def told(plan: VideoPlan) -> VideoPlan:
    """Return the plan with signs on the screen and with other lines; fixed by the plan's seed and index."""
    rng = np.random.default_rng([plan.seed, plan.index, 3])
    language = "de" if plan.subtitled and rng.random() < _GERMAN else ""
    lines = {line: _said(line, language, plan.split, rng) for line in plan.lines}
    events: list[WorldEvent] = []
    for event in plan.events:
        shown = [before.sign for before in events if before.sign]
        sign = _sign(shown, rng) if rng.random() < _SIGNED else None
        speech = lines[event.speech] if event.speech else None
        events.append(replace(event, speech=speech, sign=sign))
    scenes = _cut(plan.scenes, [event for event in events if event.sign], rng)
    return replace(plan, events=tuple(events), lines=tuple(lines.values()), scenes=scenes, language=language)


def _said(line: SpokenLine, language: str, split: str, rng: np.random.Generator) -> SpokenLine:
    """Return what is said in place of a line; "" for English, where some lines stay as they are."""
    if language and not line.facts:
        return _spoken(line, str(rng.choice(words.GERMAN_FILLERS)), {})
    if language:
        saying = words.SAYINGS[int(rng.integers(len(words.SAYINGS)))]
        facts = {kind: str(rng.choice(list(words.GERMAN[kind]))) for kind in saying.kinds}
        return _spoken(line, str(rng.choice(saying.lines)).format(**facts), facts)
    if line.facts and rng.random() < _PARAPHRASED:
        themes = THEMES[split != "train" :: 2]
        theme = themes[int(rng.integers(len(themes)))]
        return _spoken(line, str(rng.choice(theme.lines)), {"theme": theme.name})
    return line


def _spoken(line: SpokenLine, text: str, facts: dict[str, str]) -> SpokenLine:
    return SpokenLine(line.start, line.end, text[0].upper() + text[1:], tuple(facts.items()))


def _sign(shown: Sequence[Sign], rng: np.random.Generator) -> Sign:
    """Make a sign, or show one of this video again."""
    if shown and rng.random() < _AGAIN:
        return shown[int(rng.integers(len(shown)))]
    top = bool(rng.random() < 0.5)
    kind = ("code", "sign", "slide")[rng.choice(3, p=_BESIDE)]
    if kind == "code":
        return plate(rng, top)
    if kind == "sign":
        name = f"{rng.choice(words.ODD_WORDS)} {rng.choice(words.SHOPS)}"
        return Sign((name,), (("sign", name),), top)
    title = f"{rng.choice(words.TITLES)} {rng.choice(words.YEARS)}"
    return Sign((title, f"{rng.integers(2, 99)} percent"), (("slide", title),), top)


def plate(rng: np.random.Generator, top: bool = False) -> Sign:
    """Return a number plate such as "RE16 XKV"."""
    letters = "".join(rng.choice(list(words.PLATE_LETTERS), 5))
    half = f"{letters[:2]}{rng.integers(10, 80)}"
    code = f"{half} {letters[2:]}"
    return Sign((code,), (("code", code), ("half", half)), top)


def _cut(
    scenes: Sequence[Scene], signed: Sequence[WorldEvent], rng: np.random.Generator
) -> tuple[Scene, ...]:
    """Give every event with a sign a scene of its own: the same kind of background, nothing else there."""
    found = list(scenes)
    for event in signed:
        place = next(at for at, scene in enumerate(found) if scene.start <= event.start < scene.end)
        scene = found[place]
        own = Scene(event.start, event.end, scene.background, int(rng.integers(2**31)), False, ())
        pieces = (
            replace(scene, end=event.start),
            own,
            replace(scene, start=min(event.end, scene.end), fade=False),
        )
        found[place : place + 1] = [piece for piece in pieces if piece.start < piece.end]
    return tuple(found)
