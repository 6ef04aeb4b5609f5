"""What a moment of a video looks like: arrays of RGB pixels from a plan and a time."""

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from trainer.world.plan import SIZE, Distractor, Scene, Sign, VideoPlan
from trainer.world.stage import Pose, poses
from trainer.world.vocabulary import COLOURS, Colour

Pixels = NDArray[np.uint8]
Drawn = tuple[Pose, Colour]
# Drawn twice as large and halved: smooth edges for little time.
_DRAWN = 2 * SIZE
_FADE = 0.4
_NOISES = 8
_EDGE = (20, 20, 24)
_PAPER = (244, 243, 236)
_LETTERS = _DRAWN // 11


class Painter:
    """Draws the frames of one plan; keeps what frames share."""

    def __init__(self, plan: VideoPlan) -> None:
        self._plan = plan
        self._noise = _noise(plan) if plan.noise else None
        self._canvas = functools.lru_cache(maxsize=2)(_canvas)
        self._drawn: tuple[Scene, list[Drawn], Pixels] | None = None

    def frame(self, index: int, time: float) -> Pixels:
        """Return the picture at `time` seconds, (SIZE, SIZE, 3) uint8; `index` only varies the noise."""
        scene = next(scene for scene in self._plan.scenes if scene.start <= time < scene.end)
        pixels = self._pixels(scene, time)
        light = _light(self._plan, scene, time)
        if self._noise is None and light == 1.0:
            return pixels
        grain = self._noise[index % _NOISES] if self._noise is not None else 0
        return np.clip(pixels * np.float32(light) + grain, 0, 255).astype(np.uint8)

    def _pixels(self, scene: Scene, time: float) -> Pixels:
        """Return the scene at full light without noise; the last one again while nothing in it has moved."""
        shown = [_placed(distractor, time - scene.start) for distractor in scene.distractors]
        shown += [(pose, COLOURS[pose.colour]) for event in self._plan.events for pose in poses(event, time)]
        events = self._plan.events
        sign = next((event.sign for event in events if event.start <= time < event.end), None)
        if self._drawn is not None and self._drawn[0] is scene and self._drawn[1] == shown:
            return self._drawn[2]
        image = self._canvas(scene.background, scene.number).copy()
        brush = ImageDraw.Draw(image)
        for pose, fill in shown:
            _draw(brush, pose, fill)
        if sign:
            _write(brush, sign)
        pixels = np.asarray(image.reduce(2))
        self._drawn = scene, shown, pixels
        return pixels


def _light(plan: VideoPlan, scene: Scene, time: float) -> float:
    """Return the brightness 0..1: a fading scene comes out of the dark that the one before went into."""
    later = plan.scenes.index(scene) + 1
    dawn = (time - scene.start) / _FADE if scene.fade else 1.0
    dusk = (scene.end - time) / _FADE if later < len(plan.scenes) and plan.scenes[later].fade else 1.0
    return min(dawn, dusk, 1.0)


def _noise(plan: VideoPlan) -> NDArray[np.float32]:
    rng = np.random.default_rng([plan.seed, plan.index, 1])
    return rng.integers(-plan.noise, plan.noise + 1, (_NOISES, SIZE, SIZE, 1)).astype(np.float32)


def _placed(thing: Distractor, elapsed: float) -> Drawn:
    x, y = (thing.x + thing.dx * elapsed) % 1.0, (thing.y + thing.dy * elapsed) % 1.0
    return Pose(thing.shape, "", x, y, thing.height), thing.colour


def _draw(brush: ImageDraw.ImageDraw, pose: Pose, fill: Colour) -> None:
    """Draw a filled shape with a dark edge, so that it stands out from any background."""
    x, y, radius = pose.x * _DRAWN, pose.y * _DRAWN, pose.height * _DRAWN / 2
    if pose.shape == "ball":
        brush.ellipse(_box(x, y, radius), fill=fill, outline=_EDGE, width=2)
    elif pose.shape == "ring":
        band = round(0.42 * radius)
        brush.ellipse(_box(x, y, radius), outline=_EDGE, width=band + 4)
        brush.ellipse(_box(x, y, radius - 2), outline=fill, width=band)
    else:
        turn = 2 * math.pi * pose.angle
        cos, sin = math.cos(turn) * radius, math.sin(turn) * radius
        corners = [(x + cos * u - sin * v, y + sin * u + cos * v) for u, v in _OUTLINES[pose.shape]]
        brush.polygon(corners, fill=fill, outline=_EDGE, width=2)


def _write(brush: ImageDraw.ImageDraw, sign: Sign) -> None:
    """Write dark on a light panel, as large as its width allows up to a twelfth of the frame."""
    longest = max(brush.textlength(line, font=_font(_LETTERS)) for line in sign.lines)
    size = min(_LETTERS, int(_LETTERS * 0.94 * _DRAWN / longest))
    step = round(1.35 * size)
    height = step * len(sign.lines) + size // 2
    top = 4 if sign.top else _DRAWN - 4 - height
    width = longest * size / _LETTERS + size
    brush.rectangle(((_DRAWN - width) / 2, top, (_DRAWN + width) / 2, top + height), fill=_PAPER)
    for row, line in enumerate(sign.lines):
        at = _DRAWN / 2, top + size // 4 + step * (row + 0.5)
        brush.text(at, line, fill=_EDGE, font=_font(size), anchor="mm")


@functools.cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Return the font that Pillow brings along: the same letters on every machine."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont)
    return font


def _box(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius


def _star() -> list[tuple[float, float]]:
    points = []
    for k in range(10):
        reach, turn = (1.1 if k % 2 == 0 else 0.45), math.pi * (k / 5 - 0.5)
        points.append((reach * math.cos(turn), reach * math.sin(turn)))
    return points


_ARM = 0.34
# Corners in units of the radius, y down.
_OUTLINES: dict[str, list[tuple[float, float]]] = {
    "box": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
    "triangle": [(0.0, -1.0), (1.0, 0.8), (-1.0, 0.8)],
    "star": _star(),
    "cross": [
        *((-_ARM, -1), (_ARM, -1), (_ARM, -_ARM), (1, -_ARM), (1, _ARM), (_ARM, _ARM)),
        *((_ARM, 1), (-_ARM, 1), (-_ARM, _ARM), (-1, _ARM), (-1, -_ARM), (-_ARM, -_ARM)),
    ],
}


def _canvas(background: str, number: int) -> Image.Image:
    """Paint a background of two dull tones; `number` chooses tones, direction and grain."""
    rng = np.random.default_rng(number)
    level = rng.uniform(45, 130)
    first = level * rng.uniform(0.82, 1.18, 3)
    second = first + rng.choice([-1, 1]) * rng.uniform(25, 45) + rng.uniform(-10, 10, 3)
    share = np.clip(_PATTERNS[background](rng), 0.0, 1.0)[:, :, None]
    return Image.fromarray(np.clip(first + (second - first) * share, 0, 255).astype(np.uint8))


Shares = NDArray[np.float64]


def _plain(rng: np.random.Generator) -> Shares:
    return np.zeros((_DRAWN, _DRAWN))


def _slope(rng: np.random.Generator) -> Shares:
    """Return a coordinate 0..1 that runs in a random direction."""
    turn = rng.uniform(0, 2 * math.pi)
    y, x = np.mgrid[-1 : 1 : _DRAWN * 1j, -1 : 1 : _DRAWN * 1j]
    slope = np.cos(turn) * x + np.sin(turn) * y
    return np.asarray((slope / (abs(np.cos(turn)) + abs(np.sin(turn))) + 1) / 2)


def _gradient(rng: np.random.Generator) -> Shares:
    return _slope(rng) * 1.6 - 0.3


def _stripes(rng: np.random.Generator) -> Shares:
    return np.asarray(np.floor(_slope(rng) * rng.integers(8, 15)) % 2)


def _checker(rng: np.random.Generator) -> Shares:
    y, x = np.mgrid[0:_DRAWN, 0:_DRAWN] // (_DRAWN // int(rng.integers(5, 9)))
    return np.asarray((x + y) % 2, dtype=np.float64)


def _grain(rng: np.random.Generator) -> Shares:
    rough = Image.fromarray(rng.random((12, 12)).astype(np.float32)).resize((_DRAWN, _DRAWN))
    fine = Image.fromarray(rng.random((64, 64)).astype(np.float32)).resize((_DRAWN, _DRAWN))
    return (np.asarray(rough) * 0.6 + np.asarray(fine) * 0.4).astype(np.float64)


_PATTERNS: dict[str, Callable[[np.random.Generator], Shares]] = {
    "plain": _plain,
    "gradient": _gradient,
    "stripes": _stripes,
    "checker": _checker,
    "noise": _grain,
}
