"""Towers of ViT-L/14's size in each number type: a sentence, and pictures a second."""

import numpy as np
import torch
from numpy.typing import NDArray

from bench import models
from bench.results import Figure, Outcome, Setup
from bench.timing import laps
from engine.types import Floats
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.text_precision import cosines

KINDS = ("float32", "float16", "bfloat16")
_BATCH = 128

Pictures = NDArray[np.uint8]


def run(setup: Setup, device: torch.device) -> Outcome:
    """Encode the same sentence and pictures in each number type, the full one first."""
    sizes = setup.sizes
    vision = models.VIT_L_14 if device.type == "cuda" else models.NO_VISION
    folder = str(models.write_encoder(setup.cache, sizes, vision))
    texts = models.texts(sizes.queries)
    edge, batch = vision.image, _BATCH if device.type == "cuda" else 2
    pictures = np.random.default_rng(5).integers(0, 256, (batch, edge, edge, 3), np.uint8)
    rows: list[Figure] = []
    exact: tuple[Floats, Floats] | None = None
    for kind in KINDS:
        encoder = Encoder.load(folder, str(device), kind)
        found = encoder.text(texts).pooled, encoder.images(pictures)
        exact = exact or found
        alike = [float(cosines(*pair).min()) for pair in zip(found, exact, strict=True)]
        rows += _figures(setup, encoder, kind, texts, pictures, alike)
    note = f"Random weights; pictures of {edge} x {edge}, {batch} at a time, from main memory and back."
    return Outcome(rows, [note, "Cosine: the least to float32's."])


def _figures(
    setup: Setup, encoder: Encoder, kind: str, texts: list[str], pictures: Pictures, alike: list[float]
) -> list[Figure]:
    runs = setup.sizes.runs
    sentence = laps(lambda run: encoder.text([texts[run % len(texts)]]), runs, warm=5)
    shown = laps(lambda _: encoder.images(pictures), max(3, runs // 10), seconds=8)
    speed = 1000 * len(pictures) / shown.median
    told, seen = ({"cosine": value} for value in alike)
    return [
        Figure(f"text {kind}", f"a sentence, {kind}", "ours", sentence.median, more=told),
        Figure(f"images {kind}", f"pictures, {kind}", "ours", speed, "pictures/s", seen),
    ]
