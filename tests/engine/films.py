"""Films that are never stored: pictures as functions of time, which differ in what moves."""

import numpy as np

from engine.looks import CELLS, Look
from engine.types import Floats

SIZE = 32


def picture(scene: int, seed: int, seconds: float) -> Floats:
    """Return (SIZE, SIZE) grey: what moves, by `seed`, before the background of a `scene`."""
    background = (
        np.random.default_rng(scene).uniform(60, 160, (4, 4)).repeat(SIZE // 4, 0).repeat(SIZE // 4, 1)
    )
    y, x = np.mgrid[0:SIZE, 0:SIZE] / SIZE
    found = background
    for rate, phase, level in np.random.default_rng([7, seed]).uniform(0, 1, (3, 3)):
        angle = (0.2 + 0.5 * rate) * seconds + 6.28 * phase
        blob = np.exp(
            -(((x - 0.5 - 0.35 * np.cos(angle)) ** 2 + (y - 0.5 - 0.35 * np.sin(1.3 * angle)) ** 2) * 40)
        )
        found = found + (160 * level - 40) * blob
    return found.clip(0, 255).astype(np.float32)


def look(scene: int, seed: int, seconds: int, start: float = 0.0) -> Look:
    """Return what a film looks like from `start` on."""
    pictures = np.stack([picture(scene, seed, start + second) for second in range(seconds)])
    cells = pictures.reshape(seconds, 8, SIZE // 8, 8, SIZE // 8).mean((2, 4))
    found: Look = np.rint(cells).astype(np.uint8).reshape(seconds, CELLS)
    return found
