"""Models: whether they load, and what an encoder gives and costs. Imports torch."""

import time
from pathlib import Path

import numpy as np

from engine.errors import SprError
from spr_cli.findings import Finding, size
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.models import Models

_FRAMES, _LEAST_SECONDS = 16, 1.0
_HEIGHT, _WIDTH = 240, 320
HOUR = 3600  # frames, at one a second as `spr ingest` takes them
_STREAMS, _HALF = 2, 2  # frames and subtitles; bytes of a float16


def of_collection(collection: Path, device: str) -> Finding:
    """Load the models of a collection's current version, and encode a sentence."""
    try:
        models = Models.open(collection, device=device)
        models.encode([models.queries.example])
    except SprError as error:
        return Finding("error", "models", str(error))
    about = f"embedding model {models.queries.embedding_model}, ranker {models.ranker.name}"
    if models.sentences is not None:
        about += f", sentences by {models.sentences.source} ({models.sentences.fingerprint})"
    return Finding("ok", "models", f"those of {collection} load and encode a sentence: {about}")


def of_encoder(folder: Path, device: str) -> Finding:
    """Load an encoder, which proves that its parts belong together, and measure it."""
    try:
        encoder = Encoder.load(str(folder), device)
    except SprError as error:
        return Finding("error", "encoder", str(error))
    speed = _frames_per_second(encoder)
    stored = HOUR * encoder.dim * _STREAMS * _HALF
    about = f"vectors of {encoder.dim}, pictures of {encoder.image_size} pixels"
    pace = f"{speed:.0f} frames/s on {encoder.device}"
    hour = f"{HOUR / speed:.0f} s of encoding and {size(stored)} of features"
    said = f"{folder} ({encoder.fingerprint}): {about}, {pace}; an hour of video at 1 frame/s takes {hour}"
    return Finding("ok", "encoder", said)


def _frames_per_second(encoder: Encoder) -> float:
    frames = np.random.default_rng(0).integers(0, 255, (_FRAMES, _HEIGHT, _WIDTH, 3), np.uint8)
    encoder.images(frames)
    began, done = time.perf_counter(), 0
    while True:
        encoder.images(frames)
        done, took = done + _FRAMES, time.perf_counter() - began
        if took >= _LEAST_SECONDS:
            return done / took
