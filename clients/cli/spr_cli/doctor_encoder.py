"""An encoder: whether its parts belong together, what it knows of six drawn pictures, what it costs."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import SprError
from spr_cli.findings import Finding, Findings, size
from workers.ranker.encoder.encoder import Encoder

HOUR = 3600  # frames, at one a second as `spr ingest` takes them
COLOURS = {
    "red": (220, 30, 30),
    "green": (30, 160, 50),
    "blue": (30, 60, 220),
    "yellow": (240, 220, 40),
    "black": (10, 10, 10),
    "white": (250, 250, 250),
}
_LEAST_SECONDS = 1.0
_HEIGHT, _WIDTH = 240, 320
_STREAMS, _HALF = 2, 2  # frames and subtitles; bytes of a float16
_CHECKED = (
    "its tokenizer is the text tower's",
    "its pictures have the vision tower's size",
    "its vectors are finite and differ",
    "a picture and a sentence get the same vector alone and among others",
)
_SAME = 0.999  # cosine; float16 rounds


def findings(folder: Path, device: str) -> Findings:
    """Load an encoder, which proves that its parts belong together, try it on drawn pictures, measure it."""
    try:
        encoder = Encoder.load(str(folder), device, clips=True)
    except SprError as error:
        yield Finding("error", "encoder", str(error))
        return
    shown, said = drawn(), [f"a photo of a {colour} ball" for colour in COLOURS]
    images, texts = _read(encoder, shown), encoder.text(said).pooled
    alone = np.concatenate([_read(encoder, shown[:1]), encoder.text(said[:1]).pooled])
    if (_unit(alone) * _unit(np.stack([images[0], texts[0]]))).sum(axis=1).min() < _SAME:
        told = f"{folder} gives a picture or a sentence another vector alone than among others"
        yield Finding("error", "encoder", f"{told}; use another number type, or report the model's family.")
    yield _measured(folder, encoder, shown, said)
    yield _matched(folder, images, texts)


def drawn() -> NDArray[np.uint8]:
    """Return a ball of each of COLOURS on grey, (n, h, w, 3)."""
    y, x = np.ogrid[:_HEIGHT, :_WIDTH]
    ball = (y - _HEIGHT / 2) ** 2 + (x - _WIDTH / 2) ** 2 < (_HEIGHT / 3) ** 2
    frames = np.full((len(COLOURS), _HEIGHT, _WIDTH, 3), 128, np.uint8)
    for frame, colour in zip(frames, COLOURS.values(), strict=True):
        frame[ball] = colour
    return frames


def _read(encoder: Encoder, shown: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the vectors of pictures, or of clips of one picture each where the encoder reads clips."""
    return encoder.clips(shown[:, None]) if encoder.family.frames else encoder.images(shown)


def _measured(folder: Path, encoder: Encoder, shown: NDArray[np.uint8], said: list[str]) -> Finding:
    pictures = len(shown) / _seconds(lambda: _read(encoder, shown))
    texts = 1 / _seconds(lambda: encoder.text(said[:1]))
    facts = {
        "family": encoder.family.title,
        "fingerprint": encoder.fingerprint,
        "device": str(encoder.device),
        "width": encoder.dim,
        "token_width": encoder.token_width,
        "pixels": encoder.image_size,
        "tokens": encoder.tokens.longest,
        "pictures_per_second": round(pictures, 1),
        "texts_per_second": round(texts, 1),
        "bytes_per_hour": HOUR * encoder.dim * _STREAMS * _HALF,
        "int8_texts": encoder.family.graph,
        "checked": list(_CHECKED),
    }
    about = f"vectors of {encoder.dim}, pictures of {encoder.image_size} pixels, texts of up to "
    about += f"{encoder.tokens.longest} tokens"
    pace = f"{pictures:.0f} pictures/s and {texts:.0f} texts/s on {encoder.device}"
    hour = (
        f"{HOUR / pictures:.0f} s of encoding and {size(HOUR * encoder.dim * _STREAMS * _HALF)} of features"
    )
    told = (
        f"{folder} is {encoder.family.title} ({encoder.fingerprint}): {about}, {pace}; an hour of video at "
    )
    return Finding("ok", "encoder", f"{told}1 frame/s takes {hour}; checked: {', '.join(_CHECKED)}", facts)


def _matched(folder: Path, images: NDArray[np.float32], texts: NDArray[np.float32]) -> Finding:
    # Less their means: what all pictures share, and all sentences, is no likeness.
    pictures, sentences = (_unit(_unit(rows) - _unit(rows).mean(axis=0)) for rows in (images, texts))
    found = int(((sentences @ pictures.T).argmax(axis=1) == np.arange(len(pictures))).sum())
    told = f'{found} of {len(pictures)} sentences ("a photo of a red ball") find their drawn picture'
    facts = {"matched": found, "of": len(pictures)}
    if found > len(pictures) // 2:
        return Finding("ok", "encoder", f"{told}, 1 by chance", facts)
    why = "its towers are not of one training, or it never learned from such pictures: search a few of yours"
    return Finding("warning", "encoder", f"{told} with {folder}, 1 by chance: {why}", facts)


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return unit


def _seconds(work: Callable[[], object]) -> float:
    """Return the mean time of one run, over a second of them."""
    work()
    began, done = time.perf_counter(), 0
    while True:
        work()
        done, took = done + 1, time.perf_counter() - began
        if took >= _LEAST_SECONDS:
            return took / done
