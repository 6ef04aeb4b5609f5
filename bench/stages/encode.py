"""Encoding a query of sixteen tokens with a text tower of ViT-L/14's size."""

import numpy as np
import torch

from bench import models
from bench.results import Figure, Outcome, Setup
from bench.stages.floor import bytes_ms
from bench.timing import laps
from engine.types import EncodedQuery
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.text_precision import cosines, prepared
from workers.ranker.texts import CachedTextEncoder


def run(setup: Setup) -> Outcome:
    """Time the tower in 8 bits and in float32, one sentence at a time, and a sentence that is remembered."""
    sizes = setup.sizes
    torch.set_num_threads(setup.threads)
    encoder = Encoder.load(str(models.write_encoder(setup.cache, sizes)), "cpu")
    texts = models.texts(sizes.queries)
    runs, exact = max(3, sizes.runs // 4), encoder.text(texts)
    published = laps(lambda run: encoder.text([texts[run % len(texts)]]), runs)
    tower = prepared(encoder, setup.cache / "text-int8", setup.threads)
    encoder.use_tower(tower)
    ours = laps(lambda run: encoder.text([texts[run % len(texts)]]), runs)
    cosine = float(cosines(encoder.text(texts).pooled, exact.pooled).min())

    def compute(asked: object) -> list[EncodedQuery]:
        return [EncodedQuery(exact.pooled[0], exact.tokens[0], exact.pooled[0], "bench") for _ in texts[:1]]

    encoding = CachedTextEncoder(compute)
    encoding.encode(texts[0])
    cached = laps(lambda _: encoding.encode(texts[0]), sizes.runs)
    weights = _weights(encoder)
    more = {"cosine": cosine, "p99_ms": ours.share(0.99)}
    tokens = len(exact.tokens[0])
    rows = [
        Figure(
            "ours", f"{tokens} tokens, {'8 bits' if tower else 'float32'}", "ours", ours.median, more=more
        ),
        Figure("cached", "a sentence that was encoded before", "ours", cached.median),
        Figure("published", f"{tokens} tokens, float32, torch", "published", published.median),
        Figure(
            "floor",
            "reading the weights once, a byte each",
            "floor",
            bytes_ms(weights, setup.threads, sizes),
        ),
    ]
    width, layers, heads = sizes.tower
    note = (
        f"Width {width}, {layers} layers, {heads} heads, random weights, {weights / 1e6:.0f} million in use; "
    )
    return Outcome(rows, [note + f"cosine: the least of {len(texts)} sentences' pooled features."])


def _weights(encoder: Encoder) -> float:
    """Return how many weights a sentence is multiplied with: all of the tower but its embeddings."""
    tower = encoder.model.text_model.encoder
    return float(np.sum([parameter.numel() for parameter in tower.parameters()]))
