"""Grades: fixed examples, and the columns against a judge that takes one event at a time."""

import dataclasses

import numpy as np
import pytest

from tests import numeric
from trainer.world.judge import WEIGHTS, Ask, Judge, grades, similarities
from trainer.world.plan import Animation, Deed, SpokenLine, Thing, WorldEvent
from trainer.world.planner import plan_video
from trainer.world.profile import HARD, PLAIN
from trainer.world.questions import question
from trainer.world.vocabulary import MUTUAL_MOTIONS, SIZES

STAGING = Animation(0.5, 0.5, 0.0, 0.5, 1)
BALL = Thing("ball", "red", "big", 1)
EVENT = WorldEvent(1.0, 9.0, Deed(BALL, "left"), STAGING, "plain")


def grade(ask: Ask, event: WorldEvent) -> int:
    return int(grades(Judge([event]).shares(ask))[0])


def changed(motion: str = "left", background: str = "plain", **thing: str | int) -> WorldEvent:
    deed = Deed(dataclasses.replace(BALL, **thing), motion)  # type: ignore[arg-type]
    return dataclasses.replace(EVENT, deed=deed, background=background)


PRECISE = Ask("ball", "red", "big", 1, frozenset({"left"}))


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (EVENT, 4),
        (changed(background="noise"), 4),
        (changed(size="medium"), 3),
        (changed(size="small"), 3),
        (changed(number=2), 3),
        (changed(motion="right"), 2),
        (changed(colour="blue"), 2),
        (changed(shape="box"), 2),
        (changed(shape="box", number=3), 1),
        (changed(shape="box", colour="blue"), 0),
        (changed(motion="right", colour="blue"), 0),
        (changed(motion="up", shape="star", colour="blue", number=2, size="small"), 0),
    ],
)
def test_each_thing_missing_costs_a_grade_or_two(event: WorldEvent, expected: int) -> None:
    assert grade(PRECISE, event) == expected


def test_the_twin_of_a_directed_motion_is_no_answer() -> None:
    ask = Ask(shape="ball", motions=frozenset({"left"}))
    assert [grade(ask, changed(motion=motion)) for motion in ("left", "right")] == [4, 0]
    assert grade(ask, changed(shape="box")) == 1


def test_a_vague_verb_takes_any_of_its_motions() -> None:
    ask = Ask(colour="red", motions=frozenset({"left", "right"}))
    assert [grade(ask, changed(motion=motion)) for motion in ("left", "right", "spin")] == [4, 4, 1]
    assert grade(ask, changed(colour="blue")) == 0


def test_either_of_two_that_meet_may_be_named_first() -> None:
    star = Thing("star", "blue", "big", 1)
    meeting = dataclasses.replace(EVENT, deed=Deed(BALL, "meet", other=star))
    hiding = dataclasses.replace(EVENT, deed=Deed(BALL, "hide", other=star))
    ask = Ask("star", "blue", None, 1, frozenset({"meet"}), other=BALL)
    assert grade(ask, meeting) == 4
    assert grade(dataclasses.replace(ask, motions=frozenset({"hide"})), hiding) < 3


def test_what_is_said_counts_and_only_where_it_is_said() -> None:
    facts = (("person", "Maria"), ("place", "garden"))
    ask = Ask(facts=facts)
    said = [dataclasses.replace(EVENT, speech=SpokenLine(2, 4, "", facts[:count])) for count in (2, 1)]
    assert [grade(ask, event) for event in (*said, EVENT)] == [4, 2, 0]


def things(ask: Ask, one: Thing | None, other: Thing | None) -> list[tuple[float, float]]:
    found = []
    if ask.shape:
        found.append((WEIGHTS.shape, float(one is not None and one.shape == ask.shape)))
    if ask.colour:
        found.append((WEIGHTS.colour, float(one is not None and one.colour == ask.colour)))
    if ask.number:
        found.append((WEIGHTS.number, float(one is not None and one.number == ask.number)))
    if ask.size:
        steps = abs(list(SIZES).index(one.size) - list(SIZES).index(ask.size)) if one else 2
        found.append((WEIGHTS.size, 1 - steps / 2))
    if ask.other:
        found.append((WEIGHTS.other, float(other is not None and other.shape == ask.other.shape)))
        found.append((WEIGHTS.other, float(other is not None and other.colour == ask.other.colour)))
    return found


def slow_share(ask: Ask, event: WorldEvent) -> float:
    """One event at a time, as one would say it."""
    deed = event.deed
    straight, swapped = things(ask, deed.thing, deed.other), things(ask, deed.other, deed.thing)
    turned = 1.0 if deed.motion in MUTUAL_MOTIONS else 0.5
    got = max(sum(w * m for w, m in straight), turned * sum(w * m for w, m in swapped))
    asked = sum(w for w, _ in straight)
    if ask.motions:
        vague = len(ask.motions) > 1
        full = ask.shape and ask.colour and ask.number
        weight = WEIGHTS.vague_motion if vague else WEIGHTS.motion if full else WEIGHTS.motion_alone
        got, asked = got + weight * (deed.motion in ask.motions), asked + weight
    if ask.times:
        got, asked = got + WEIGHTS.times * (deed.times == ask.times), asked + WEIGHTS.times
    if ask.background:
        got, asked = (
            got + WEIGHTS.background * (event.background == ask.background),
            asked + WEIGHTS.background,
        )
    for place, fact in enumerate(ask.facts):
        weight = WEIGHTS.next_fact if place else WEIGHTS.first_fact
        got += weight * (event.speech is not None and fact in event.speech.facts)
        asked += weight
    return got / asked


def test_columns_agree_with_the_slow_judge_and_every_question_has_its_answer() -> None:
    events = [event for index in range(60) for event in plan_video(5, index).events]
    judge, rng = Judge(events), np.random.default_rng(1)
    for row, event in enumerate(events):
        for kind in {**PLAIN.kinds, **HARD.kinds}:
            asking = question(event, kind, rng)
            if asking is None:
                continue
            shares = judge.shares(asking.ask)
            assert grades(shares)[row] == 4, asking
            numeric.close(
                shares[:40], [slow_share(asking.ask, other) for other in events[:40]], numeric.FLOAT64
            )


def test_similarity_follows_the_share() -> None:
    shares = np.linspace(0, 1, 11)
    similar = similarities(shares, np.random.default_rng(0))
    assert similar[-1] > 0.85
    assert abs(similar[0]) < 0.15
    assert ((similar >= -1) & (similar <= 1)).all()
