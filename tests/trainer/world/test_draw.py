"""Pictures show what the captions say."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from trainer.world.draw import Painter
from trainer.world.plan import SIZE, Animation, Deed, Scene, Thing, VideoPlan, WorldEvent
from trainer.world.planner import plan_video
from trainer.world.stage import poses, seen
from trainer.world.vocabulary import COLOURS, MOTIONS, PAIR_MOTIONS, SHAPES, SIZES

EVENT = WorldEvent(
    start=2.3,
    end=10.7,
    deed=Deed(Thing("box", "red", "medium", 1), "rest"),
    staging=Animation(0.5, 0.5, 0.2, 0.45, 1),
    background="plain",
)
SCENE = Scene(0.0, 12.0, "plain", 5, False, ())


def acting(motion: str, thing: Thing = EVENT.deed.thing, **changes: object) -> WorldEvent:
    other = Thing("ball", "blue", "big", 1) if motion in PAIR_MOTIONS else None
    deed = Deed(thing, motion, other=other)
    return dataclasses.replace(EVENT, deed=deed, **changes)  # type: ignore[arg-type]


def masks(event: WorldEvent, times: NDArray[np.float64], colour: str = "red") -> NDArray[np.bool_]:
    """Where a colour is seen, (times, SIZE, SIZE)."""
    plan = VideoPlan("v", "train", 0, 0, 96, 0, False, (SCENE,), (event,), ())
    frames = np.stack([Painter(plan).frame(0, time) for time in times]).astype(int)
    near: NDArray[np.bool_] = np.abs(frames - COLOURS[colour]).max(axis=-1) < 30
    return near


def visible(event: WorldEvent, times: NDArray[np.float64], colour: str = "red") -> NDArray[np.bool_]:
    """Whether a colour is seen at all, (times,)."""
    return np.array([mask.any() for mask in masks(event, times, colour)])


def during(event: WorldEvent, count: int = 12) -> NDArray[np.float64]:
    return np.linspace(event.start + 0.01, event.end - 0.01, count)


def middles(event: WorldEvent) -> NDArray[np.float64]:
    """Middle (x, y) of the red thing over time, in shares of the frame."""
    return np.array([np.argwhere(mask).mean(axis=0)[::-1] / SIZE for mask in masks(event, during(event))])


@pytest.mark.parametrize(
    ("motion", "axis", "sign"), [("left", 0, -1), ("right", 0, 1), ("up", 1, -1), ("down", 1, 1)]
)
@pytest.mark.parametrize("number", [1, 2, 3])
def test_things_move_where_the_caption_says(motion: str, axis: int, sign: int, number: int) -> None:
    places = middles(acting(motion, Thing("box", "red", "medium", number)))
    steps = np.diff(places, axis=0)
    assert (sign * steps[:, axis] > 0).all()
    assert abs(places[-1, axis] - places[0, axis]) > 0.55
    assert np.abs(steps[:, 1 - axis]).max() < 0.01


def test_things_grow_and_shrink() -> None:
    growing = masks(acting("grow"), during(EVENT)).sum(axis=(1, 2))
    assert (np.diff(growing) > 0).all()
    assert growing[-1] > 4 * growing[0]
    shrinking = masks(acting("shrink"), during(EVENT)).sum(axis=(1, 2))
    assert (np.diff(shrinking) < 0).all()


def test_things_bounce_as_often_as_counted() -> None:
    event = dataclasses.replace(EVENT, deed=Deed(EVENT.deed.thing, "bounce", times=3))
    height = np.array([poses(event, time)[0].y for time in during(event, 200)])
    tops = (height[1:-1] < height[:-2]) & (height[1:-1] <= height[2:])
    assert tops.sum() == 3


def test_things_spin_blink_and_circle() -> None:
    turning = masks(acting("spin"), during(EVENT))
    assert (turning[0] ^ turning[5]).sum() > 50
    blinking = visible(acting("blink"), during(EVENT, 60))
    assert 0.5 < blinking.mean() < 0.85
    around = middles(acting("circle"))
    assert (np.ptp(around, axis=0) > 0.4).all()
    resting = masks(acting("rest"), during(EVENT))
    assert (resting == resting[0]).all()


def test_two_meet_and_part() -> None:
    def distances(motion: str) -> NDArray[np.float64]:
        pairs = [poses(acting(motion), time) for time in during(EVENT)]
        return np.array([abs(one.x - other.x) for one, other in pairs])

    assert (np.diff(distances("meet")) <= 0).all()
    assert (np.diff(distances("part")) >= 0).all()
    assert distances("meet")[0] - distances("meet")[-1] > 0.3


def test_one_hides_behind_the_other() -> None:
    small = Thing("box", "red", "small", 1)
    hiding = visible(acting("hide", small), during(EVENT, 40))
    assert hiding[:20].all()
    assert not hiding[-3:].any()
    emerging = visible(acting("emerge", small), during(EVENT, 40))
    assert (emerging == hiding[::-1]).all()
    wall = visible(acting("hide", small), during(EVENT, 40), "blue")
    assert wall.all()
    told = np.array([bool(seen(acting("hide", small), time)) for time in during(EVENT, 40)])
    assert (told != hiding).sum() <= 2


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SIZES)
def test_things_are_as_large_as_their_size(shape: str, size: str) -> None:
    thing = Thing(shape, "red", size, 1)
    (mask,) = masks(acting("rest", thing), np.array([5.0]))
    rows = np.flatnonzero(mask.any(axis=1))
    assert 0.65 * SIZES[size] < (rows[-1] - rows[0] + 1) / SIZE < 1.15 * SIZES[size]


def test_nothing_is_seen_before_and_after() -> None:
    edges = np.array([2.2, 2.29, 10.7, 10.8])
    for motion in MOTIONS:
        assert not masks(acting(motion), edges).any()


def test_events_of_real_plans_are_inside_the_frame_and_mostly_seen() -> None:
    for event in (event for index in range(80) for event in plan_video(2, index).events):
        times = during(event, 60)
        shown = [seen(event, time) for time in times]
        assert np.mean([bool(things) for things in shown]) > 0.6
        for pose in (pose for things in shown for pose in things):
            assert -0.02 < pose.x - pose.height / 2
            assert pose.x + pose.height / 2 < 1.02
            assert -0.02 < pose.y - pose.height / 2
            assert pose.y + pose.height / 2 < 1.02


def test_backgrounds_are_dull_and_fades_are_dark() -> None:
    for number in range(20):
        scenes = (
            SCENE,
            dataclasses.replace(SCENE, start=12.0, end=20.0, fade=True, number=number, background="noise"),
        )
        plan = VideoPlan("v", "train", 0, 0, 160, 4, False, scenes, (), ())
        painter = Painter(plan)
        frame = painter.frame(3, 15.0).astype(int)
        assert frame.max() < 225
        assert (frame.max(axis=-1) - frame.min(axis=-1)).mean() < 90
        assert painter.frame(0, 11.999).mean() < 5
        assert painter.frame(0, 12.0).mean() < 5
