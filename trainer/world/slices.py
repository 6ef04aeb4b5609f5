"""Which slices a question belongs to beside its kind, and questions that have no answer."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from trainer.world import vocabulary as words
from trainer.world.absent import Absent, absent_deed
from trainer.world.judge import Floats, Judge, grades
from trainer.world.plan import SpokenLine, VideoPlan, WorldEvent
from trainer.world.questions import Question, question
from trainer.world.telling import plate

LOOK_ALIKE = "look-alike"
LONG_VIDEO = "long-video"
NO_ANSWER = "no-answer"
MANY_MOMENTS = "many-moments"
STATEMENT, QUESTION = "statement", "question"
# An event of which this share of what was asked is there, but which is no good answer, is nearly one.
_NEARLY = 0.4
_TRIES = 60


def belongs(
    asking: Question, shares: Floats, videos: Sequence[VideoPlan], many: bool = False
) -> tuple[str, ...]:
    """Return the further slices of a question; shares and videos are those of the split's events.

    "look-alike": beside a full answer, its video holds an event that nearly is one (and the question is not
    one that many things answer). "long-video": at least half of the full answers are in hour-long videos.
    "many-moments", if `many`: a video holds several full answers (and again not what many things answer).
    """
    grade = grades(shares)
    full = np.flatnonzero(grade == grade.max(initial=1)).tolist()
    homes = {videos[row].name for row in full}
    near = np.flatnonzero((shares >= _NEARLY) & (grade <= 2)).tolist()
    found = []
    if asking.slice != "imprecise" and any(videos[row].name in homes for row in near):
        found.append(LOOK_ALIKE)
    if full and np.mean([videos[row].long for row in full]) >= 0.5:
        found.append(LONG_VIDEO)
    if many and asking.slice != "imprecise" and len(homes) < len(full):
        found.append(MANY_MOMENTS)
    return tuple(found)


def unanswerable(
    events: Sequence[WorldEvent],
    count: int,
    without: Absent,
    kinds: Mapping[str, float],
    rng: np.random.Generator,
) -> list[Question]:
    """Ask for events that the split does without, each sentence once; the judge grades every event 0."""
    judge = Judge(events)
    asked: dict[str, Question] = {}
    names, odds = list(kinds), list(kinds.values())
    for _ in range(_TRIES * count if events else 0):
        if len(asked) == count:
            break
        event = _absent_event(events[int(rng.integers(len(events)))], without, rng)
        asking = question(event, str(rng.choice(names, p=odds)), rng)
        if asking and asking.text not in asked and not grades(judge.shares(asking.ask)).any():
            asked[asking.text] = asking
    return list(asked.values())


def _absent_event(event: WorldEvent, without: Absent, rng: np.random.Generator) -> WorldEvent:
    """Return an event as it could have been filmed instead of `event`."""
    deed = absent_deed(without.deeds[int(rng.integers(len(without.deeds)))], rng)
    said = sorted(without.facts)
    kind, name = said[int(rng.integers(len(said)))]
    lines = [kinds for kinds, _, _ in words.SPEECHES if kind in kinds]
    kinds = lines[int(rng.integers(len(lines)))]
    facts = tuple((other, name if other == kind else str(rng.choice(words.FACTS[other]))) for other in kinds)
    sign = plate(rng) if event.sign else None
    return replace(event, deed=deed, speech=SpokenLine(event.start, event.end, "", facts), sign=sign)
