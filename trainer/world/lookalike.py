"""Deeds that are nearly the same: one thing of another changed, the rest alike."""

from dataclasses import replace

import numpy as np

from trainer.world import vocabulary as words
from trainer.world.plan import Deed

_TWINS = (("left", "right"), ("up", "down"), ("grow", "shrink"), ("meet", "part"), ("hide", "emerge"))
TWIN = {one: other for pair in _TWINS for one, other in (pair, pair[::-1])}


def look_alike(deed: Deed, rng: np.random.Generator) -> Deed:
    """Return the deed with another motion, most often its twin, or with another colour or shape."""
    dice = rng.random()
    if dice < 0.5:
        return _moved(deed, rng)
    if dice < 0.8:
        taken = {deed.thing.colour, deed.other.colour if deed.other else ""}
        colour = str(rng.choice([name for name in words.COLOURS if name not in taken]))
        return replace(deed, thing=replace(deed.thing, colour=colour))
    shapes = words.TURNABLE if deed.motion == "spin" else words.SHAPES
    shape = str(rng.choice([name for name in shapes if name != deed.thing.shape]))
    return replace(deed, thing=replace(deed.thing, shape=shape))


def _moved(deed: Deed, rng: np.random.Generator) -> Deed:
    """Let the same thing do something else; what two do, two can do the other way round."""
    motion = TWIN.get(deed.motion, "")
    if deed.other is None and (not motion or rng.random() < 0.4):
        turnable = deed.thing.shape in words.TURNABLE
        others = [m for m in words.SINGLE_MOTIONS if m != deed.motion and (turnable or m != "spin")]
        motion = str(rng.choice(others))
    size = "medium" if motion in ("grow", "shrink") else deed.thing.size
    times = int(rng.integers(2, 5)) if motion == "bounce" else 0
    return replace(deed, thing=replace(deed.thing, size=size), motion=motion, times=times)
