"""Samples to feature rows, in batches, while the next ones are decoded."""

from collections import deque
from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from trainer.ingest.subtitles import MOST_IN_A_ROW, Cue, seen, subtitle_rows
from trainer.ingest.unfinished import Unfinished
from trainer.ingest.video import Sample

Rows = NDArray[np.float32]


class TextRows(Protocol):
    """What an encoder says of n texts."""

    @property
    def pooled(self) -> NDArray[np.float32]:
        """(n, dim), un-normalised."""

    @property
    def cut(self) -> Sequence[bool]:
        """(n,), whether a text is longer than the encoder reads."""


@dataclass(frozen=True, slots=True)
class Said:
    """The subtitle rows of a video, (rows, dim). doubt: what is to be told of its cues, "" for nothing."""

    rows: Rows
    doubt: str = ""


class EncoderName(Protocol):
    """What a feature store knows of an encoder."""

    @property
    def name(self) -> str:
        """Directory or hub name."""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that name its weights."""

    @property
    def dim(self) -> int:
        """Width of the rows."""


class FrameEncoder(EncoderName, Protocol):
    """The part of an encoder that ingest needs; workers.ranker.encoder.encoder.Encoder is one."""

    def images(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode (n, h, w, 3) RGB to (n, dim), un-normalised."""

    def text(self, texts: Sequence[str]) -> TextRows:
        """Encode sentences."""


class Encoding:
    """Samples in, rows out, in background threads: a batch is encoded as soon as it is full.

    A batch holds samples of one video, always the same ones: its rows are the same bytes whatever else is
    ingested with it and however many threads there are.
    """

    def __init__(self, encoder: FrameEncoder, batch_size: int, fps: Fraction, threads: int = 1) -> None:
        self._encoder = encoder
        self._batch_size = batch_size
        self._fps = fps
        self._pool = ThreadPoolExecutor(threads, "encode")
        # One batch at work in each thread and one that waits for it.
        self._room = 2 * threads
        self._running: deque[Future[Rows]] = deque()
        self._waiting: dict[Hashable, list[Sample]] = {}
        self._frames: dict[Hashable, list[Future[Rows]]] = {}
        self._subtitles: dict[Hashable, Future[Said]] = {}
        self._unfinished: dict[Hashable, Unfinished] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Ctrl-C does not wait for a running batch, which can take a minute.
        self._pool.shutdown(wait=kind is not KeyboardInterrupt, cancel_futures=True)

    def begin(self, video: Hashable, unfinished: Unfinished) -> None:
        """Take what an earlier run has encoded of a video, and keep there what this one does."""
        self._unfinished[video] = unfinished

    def add(self, video: Hashable, sample: Sample) -> None:
        """Take a sample; those of one video come in order. Waits while too much is under way."""
        waiting = self._waiting.setdefault(video, [])
        waiting.append(sample)
        if len(waiting) == self._batch_size:
            self._submit(video)

    def end(self, video: Hashable, cues: Sequence[Cue], rows: int) -> None:
        """Take note that a video has no more samples, and what is said in it."""
        self._submit(video)
        self._subtitles[video] = self._pool.submit(encode_cues, self._encoder, cues, rows, self._fps)

    def done(self, video: Hashable) -> bool:
        """Whether `take` would not wait."""
        return self._subtitles[video].done() and all(future.done() for future in self._frames[video])

    def take(self, video: Hashable) -> tuple[Rows, Said]:
        """Return and forget the frames' rows (n, dim) and the subtitles of a video that ended.

        A frame shown at several grid points repeats. Raises what the encoder raised.
        """
        frames = [future.result() for future in self._frames.pop(video)]
        return np.concatenate(frames), self._subtitles.pop(video).result()

    def drop(self, video: Hashable) -> None:
        """Forget a video: it is stored, or will not be."""
        self._waiting.pop(video, None)
        for future in self._frames.pop(video, []):
            future.cancel()
        if unfinished := self._unfinished.pop(video, None):
            unfinished.remove()

    def _submit(self, video: Hashable) -> None:
        while len(self._running) >= self._room:
            wait([self._running.popleft()])
        frames = self._frames.setdefault(video, [])
        future = self._pool.submit(
            self._encode, self._waiting.pop(video, []), len(frames), self._unfinished.get(video)
        )
        self._running.append(future)
        frames.append(future)

    def _encode(self, samples: Sequence[Sample], batch: int, unfinished: Unfinished | None) -> Rows:
        if unfinished is None:
            return encode_samples(self._encoder, samples)
        known = unfinished.take(batch, sum(sample.rows for sample in samples))
        if known is not None:
            return known
        rows = encode_samples(self._encoder, samples)
        # A video of less than a batch is not worth a file.
        if len(samples) == self._batch_size:
            unfinished.put(batch, rows)
        return rows


def encode_samples(encoder: FrameEncoder, samples: Sequence[Sample]) -> Rows:
    """Return the rows (n, dim) that samples fill, in order; frames of one size are encoded together."""
    order: dict[tuple[int, ...], list[int]] = {}
    for index, sample in enumerate(samples):
        order.setdefault(sample.image.shape, []).append(index)
    vectors = np.zeros((len(samples), encoder.dim), np.float32)
    for indices in order.values():
        vectors[indices] = encoder.images(np.stack([samples[index].image for index in indices]))
    return np.repeat(vectors, [sample.rows for sample in samples], axis=0)


def encode_cues(encoder: FrameEncoder, cues: Sequence[Cue], rows: int, fps: Fraction) -> Said:
    """Return the subtitle rows of a video; each different sentence is encoded once."""
    shown, left_out = seen(cues, rows, fps)
    texts = sorted({cue.text for cue in shown})
    if not texts:
        return Said(np.zeros((rows, encoder.dim), np.float32))
    found = encoder.text(texts)
    vectors = dict(zip(texts, found.pooled, strict=True))
    long = {text for text, cut in zip(texts, found.cut, strict=True) if cut}
    told = (
        (left_out, f"are not used, for {MOST_IN_A_ROW} others are on screen with them"),
        (
            sum(cue.text in long for cue in shown),
            "are longer than the text encoder reads: their ends are cut",
        ),
    )
    doubts = [f"{count} of its {len(cues)} subtitles {why}" for count, why in told if count]
    return Said(subtitle_rows(shown, vectors, rows, fps, encoder.dim), "; ".join(doubts))
