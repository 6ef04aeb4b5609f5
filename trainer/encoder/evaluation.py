"""How good an encoder is without any further training, on events it has not seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.encoder.events import CaptionedEvent
from trainer.encoder.frames import Frames
from workers.ranker.encoder.encoder import Encoder

Figures = dict[str, float]
_PROMPTED = ("colour", "shape")


def evaluate(encoder: Encoder, events: Sequence[CaptionedEvent], frames: Frames) -> dict[str, Any]:
    """Return zero-shot figures: retrieval of events by captions, attributes by prompts, speech by questions.

    An event is the mean of its normalised frames. What chance reaches stands beside each figure.
    """
    shown = np.flatnonzero(frames.events >= 0)
    pixels = frames.pixels[shown].permute(0, 2, 3, 1).numpy()
    features, owners = unit(encoder.images(pixels)), frames.events[shown]
    pooled = unit(np.stack([features[owners == row].mean(0) for row in range(len(events))]))
    report: dict[str, Any] = {
        "events": len(events),
        "frames": len(shown),
        "text_to_event": _recalls(
            unit(encoder.text([event.caption for event in events]).pooled) @ pooled.T,
            _same([event.seen for event in events]),
        ),
        "zero_shot": _prompted(encoder, events, pooled, features, owners),
    }
    told = [event for event in events if event.spoken and event.subtitle]
    if len(told) > 1:
        asks = unit(encoder.text([event.spoken or "" for event in told]).pooled)
        sentences = unit(encoder.text([event.subtitle or "" for event in told]).pooled)
        report["question_to_speech"] = _recalls(asks @ sentences.T, _same([event.facts for event in told]))
    return report


def _recalls(scores: NDArray[np.float32], same: NDArray[np.bool_]) -> Figures:
    """Return recall at 1 and 10: the share of rows with a column of the same content among the best."""
    n = len(scores)
    hits = np.take_along_axis(same, np.argsort(-scores, axis=1, kind="stable"), axis=1)
    figures: Figures = {"queries": n}
    for k in (1, 10):
        figures[f"recall@{k}"] = round(float(hits[:, :k].any(1).mean()), 4)
        figures[f"chance@{k}"] = round(float(_chance(same.sum(1), n, min(k, n)).mean()), 4)
    return figures


def _chance(right: NDArray[np.int64], n: int, k: int) -> NDArray[np.float64]:
    """Return the probability that k of n drawn at random hold one of `right`."""
    missed = np.ones(len(right))
    for drawn in range(k):
        missed *= np.clip((n - right - drawn) / (n - drawn), 0.0, 1.0)
    return 1.0 - missed


def _prompted(
    encoder: Encoder,
    events: Sequence[CaptionedEvent],
    pooled: NDArray[np.float32],
    features: NDArray[np.float32],
    owners: NDArray[np.int64],
) -> dict[str, Figures]:
    """Return how often prompts "a COLOUR SHAPE" name the colour and the shape of events with one thing."""
    single = [
        row for row, e in enumerate(events) if not any(key.startswith("other.") for key in e.attributes)
    ]
    single = [row for row in single if all(key in events[row].attributes for key in _PROMPTED)]
    if not single:
        return {}
    known = [sorted({events[row].attributes[key] for row in single}) for key in _PROMPTED]
    prompts = [f"a {colour} {shape}" for colour in known[0] for shape in known[1]]
    table = unit(encoder.text(prompts).pooled).reshape(len(known[0]), len(known[1]), -1)
    report = {}
    for axis, key in enumerate(_PROMPTED):
        classes = unit(table.mean(1 - axis)).T
        named = {row: known[axis].index(events[row].attributes[key]) for row in single}
        of_events = [int(np.argmax(pooled[row] @ classes)) == named[row] for row in single]
        of_frames = [
            int(np.argmax(feature @ classes)) == named[owner]
            for feature, owner in zip(features, owners.tolist(), strict=True)
            if owner in named
        ]
        report[key] = {
            "events": round(float(np.mean(of_events)), 4),
            "frames": round(float(np.mean(of_frames)), 4),
            "chance": round(1 / len(known[axis]), 4),
        }
    return report


def _same(contents: Sequence[dict[str, str]]) -> NDArray[np.bool_]:
    return np.array([[a == b for b in contents] for a in contents], bool)


def unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return rows (..., d) of length 1."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    scaled: NDArray[np.float32] = np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)
    return scaled
