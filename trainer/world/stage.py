"""Where things are at a time: a deed and its animation become poses. Pure functions of time."""

import math
from collections.abc import Callable
from typing import NamedTuple

from trainer.world.plan import Thing, WorldEvent
from trainer.world.vocabulary import SIZES


class Pose(NamedTuple):
    """A thing in the frame: centre and height as shares of the frame's side, angle in turns."""

    shape: str
    colour: str
    x: float
    y: float
    height: float
    angle: float = 0.0


def poses(event: WorldEvent, time: float) -> list[Pose]:
    """Return what an event shows at `time` seconds of the video, back to front; nothing outside its span."""
    if not event.start <= time < event.end:
        return []
    progress = (time - event.start) / (event.end - event.start)
    deed = event.deed
    if deed.other is not None:
        return _pair(event, deed.thing, deed.other, progress)
    x, y, scale, angle = _PATHS.get(deed.motion, _rest)(event, progress, time - event.start)
    if scale == 0.0:
        return []
    return [
        Pose(deed.thing.shape, deed.thing.colour, x + dx, y + dy, SIZES[deed.thing.size] * scale, angle)
        for dx, dy in _formation(deed.thing, deed.motion)
    ]


def seen(event: WorldEvent, time: float) -> list[Pose]:
    """Return the poses of the doer alone: none where it is not to be seen, as when it blinks or hides."""
    shown = poses(event, time)
    return [
        pose
        for pose in shown
        if pose.colour == event.deed.thing.colour and (pose is shown[-1] or not _covers(shown[-1], pose))
    ]


def _covers(front: Pose, back: Pose) -> bool:
    room = (front.height - back.height) / 2
    return abs(front.x - back.x) <= room and abs(front.y - back.y) <= room


Path = tuple[float, float, float, float]


def _formation(thing: Thing, motion: str) -> list[tuple[float, float]]:
    """Return the offsets of several things, side by side across their way."""
    gap = SIZES[thing.size] * 1.12
    offsets = [(k - (thing.number - 1) / 2) * gap for k in range(thing.number)]
    return [(0.0, offset) if motion in ("left", "right") else (offset, 0.0) for offset in offsets]


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _inside(event: WorldEvent) -> tuple[float, float]:
    """Return the staged place, drawn to the middle as far as several things need it."""
    room = 1.0 if event.deed.thing.number == 1 else 0.3
    return 0.5 + (event.staging.x - 0.5) * room, 0.5 + (event.staging.y - 0.5) * room


def _rest(event: WorldEvent, progress: float, elapsed: float) -> Path:
    return (*_inside(event), 1.0, 0.0)


def _left(event: WorldEvent, progress: float, elapsed: float) -> Path:
    return _between(0.82, 0.18, progress), _inside(event)[1], 1.0, 0.0


def _right(event: WorldEvent, progress: float, elapsed: float) -> Path:
    return _between(0.18, 0.82, progress), _inside(event)[1], 1.0, 0.0


def _up(event: WorldEvent, progress: float, elapsed: float) -> Path:
    return _inside(event)[0], _between(0.82, 0.18, progress), 1.0, 0.0


def _down(event: WorldEvent, progress: float, elapsed: float) -> Path:
    return _inside(event)[0], _between(0.18, 0.82, progress), 1.0, 0.0


def _bounce(event: WorldEvent, progress: float, elapsed: float) -> Path:
    length = event.end - event.start
    hops = event.deed.times or max(5, round(length * event.staging.rate))
    floor = 0.97 - SIZES[event.deed.thing.size] / 2
    return _inside(event)[0], floor - 0.5 * abs(math.sin(math.pi * hops * progress)), 1.0, 0.0


def _spin(event: WorldEvent, progress: float, elapsed: float) -> Path:
    return (*_inside(event), 1.0, event.staging.sense * event.staging.rate * elapsed)


def _circle(event: WorldEvent, progress: float, elapsed: float) -> Path:
    turn = 2 * math.pi * (event.staging.phase + event.staging.sense * event.staging.rate * elapsed)
    radius = 0.28 if event.deed.thing.number == 1 else 0.16
    return 0.5 + radius * math.cos(turn), 0.5 + radius * math.sin(turn), 1.0, 0.0


def _grow(event: WorldEvent, progress: float, elapsed: float) -> Path:
    smallest, largest = (0.5, 1.6) if event.deed.thing.number == 1 else (0.4, 1.08)
    return (*_inside(event), _between(smallest, largest, progress), 0.0)


def _shrink(event: WorldEvent, progress: float, elapsed: float) -> Path:
    return _grow(event, 1.0 - progress, elapsed)


def _blink(event: WorldEvent, progress: float, elapsed: float) -> Path:
    """Show it for two thirds of each period, which is no whole number of seconds: samples beat with it."""
    seen = (elapsed * event.staging.rate) % 1.0 < 2 / 3
    return (*_inside(event), 1.0 if seen else 0.0, 0.0)


_PATHS: dict[str, Callable[[WorldEvent, float, float], Path]] = {
    "left": _left,
    "right": _right,
    "up": _up,
    "down": _down,
    "bounce": _bounce,
    "spin": _spin,
    "circle": _circle,
    "grow": _grow,
    "shrink": _shrink,
    "blink": _blink,
    "rest": _rest,
}


def _pair(event: WorldEvent, thing: Thing, other: Thing, progress: float) -> list[Pose]:
    """Two things: they come together, or apart; or one goes behind the other, or comes out from there."""
    motion, sense, y = event.deed.motion, event.staging.sense, event.staging.y
    if motion in ("part", "emerge"):
        progress = 1.0 - progress
    if motion in ("meet", "part"):
        # They touch after four fifths of the time and stay together.
        apart = _between(0.32, SIZES[thing.size] / 2, min(progress / 0.8, 1.0))
        return [_at(thing, 0.5 - sense * apart, y), _at(other, 0.5 + sense * apart, y)]
    # Covered only near the end, so that most of the event shows both.
    wall, start = 0.5 + sense * 0.2, 0.5 - sense * 0.34
    return [_at(thing, _between(start, wall, min(progress / 0.9, 1.0)), y), _at(other, wall, y)]


def _at(thing: Thing, x: float, y: float) -> Pose:
    return Pose(thing.shape, thing.colour, x, y, SIZES[thing.size])
