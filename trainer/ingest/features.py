"""Samples to feature rows, in batches that may span several videos."""

from collections.abc import Hashable, Sequence
from fractions import Fraction
from itertools import groupby
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trainer.ingest.subtitles import Cue, subtitle_rows
from trainer.ingest.video import Sample


class TextRows(Protocol):
    """What an encoder says of n texts."""

    @property
    def pooled(self) -> NDArray[np.float32]:
        """(n, dim), un-normalised."""


class FrameEncoder(Protocol):
    """The part of an encoder that ingest needs; workers.ranker.encoder.Encoder is one."""

    @property
    def name(self) -> str:
        """Directory or hub name."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name its weights."""

    @property
    def dim(self) -> int:
        """Width of the rows."""

    def images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode (n, h, w, 3) RGB to (n, dim), un-normalised."""

    def text(self, texts: Sequence[str]) -> TextRows:
        """Encode sentences."""


class FrameBatcher:
    """Collects samples of any number of videos and encodes them together, frames of one size at a time."""

    def __init__(self, encoder: FrameEncoder, batch_size: int) -> None:
        self._encoder = encoder
        self._batch_size = batch_size
        self._waiting: list[tuple[Hashable, Sample]] = []
        self._rows: dict[Hashable, list[NDArray[np.float32]]] = {}

    @property
    def full(self) -> bool:
        """Whether a batch is complete."""
        return len(self._waiting) >= self._batch_size

    def add(self, video: Hashable, sample: Sample) -> None:
        """Take a sample; those of one video come in order."""
        self._waiting.append((video, sample))

    def flush(self) -> None:
        """Encode all that waits."""
        for _, group in groupby(sorted(self._waiting, key=_shape), key=_shape):
            pairs = list(group)
            for start in range(0, len(pairs), self._batch_size):
                self._encode(pairs[start : start + self._batch_size])
        self._waiting.clear()

    def take(self, video: Hashable) -> NDArray[np.float32]:
        """Return and forget a video's rows so far, (n, dim); a frame shown at several grid points repeats."""
        return np.concatenate([np.zeros((0, self._encoder.dim), np.float32), *self._rows.pop(video, [])])

    def drop(self, video: Hashable) -> None:
        """Forget a video."""
        self._waiting = [pair for pair in self._waiting if pair[0] != video]
        self._rows.pop(video, None)

    def _encode(self, pairs: Sequence[tuple[Hashable, Sample]]) -> None:
        vectors = self._encoder.images(np.stack([sample.image for _, sample in pairs]))
        for (video, sample), vector in zip(pairs, vectors, strict=True):
            self._rows.setdefault(video, []).append(np.tile(vector, (sample.rows, 1)))


def encode_cues(encoder: FrameEncoder, cues: Sequence[Cue], rows: int, fps: Fraction) -> NDArray[np.float32]:
    """Return the subtitle rows (rows, dim) of a video; each different sentence is encoded once."""
    texts = sorted({cue.text for cue in cues})
    vectors = dict(zip(texts, encoder.text(texts).pooled, strict=True)) if texts else {}
    return subtitle_rows(cues, vectors, rows, fps, encoder.dim)


def _shape(pair: tuple[Hashable, Sample]) -> tuple[int, ...]:
    return pair[1].image.shape
