"""Samples to feature rows, in batches, while the next ones are decoded."""

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trainer.ingest.encoders import ClipEncoder, FrameEncoder
from trainer.ingest.lanes import Lane, Rows
from trainer.ingest.options import IngestOptions
from trainer.ingest.subtitles import MOST_IN_A_ROW, Cue, seen, subtitle_rows
from trainer.ingest.unfinished import Unfinished
from trainer.ingest.video import Sample
from workers.ranker.stores.features import CLIPS, FRAMES, SEGMENT

# The frames of one, up to SEGMENT rows of the grid.
Segment: TypeAlias = tuple[NDArray[np.uint8], ...]


@dataclass(frozen=True, slots=True)
class Said:
    """The subtitle rows of a video, (rows, dim). doubt: what is to be told of its cues, "" for nothing."""

    rows: Rows
    doubt: str = ""


class Encoding:
    """Samples in, rows out, in background threads; see `Lane`."""

    def __init__(self, encoder: FrameEncoder, options: IngestOptions) -> None:
        self._encoder, self._fps = encoder, options.fps
        self._pool = ThreadPoolExecutor(options.encoders, "encode")
        # One batch at work in each thread and one that waits for it.
        lane = partial(Lane, self._pool, 2 * options.encoders)
        self._frames: Lane[Sample] = lane(options.batch_size, partial(encode_samples, encoder), _rows)
        self._lanes: dict[str, Lane[Any]] = {FRAMES: self._frames}
        self._clips: Lane[Segment] | None = None
        if options.clips is not None:
            each = max(1, options.batch_size // SEGMENT)
            self._clips = self._lanes[CLIPS] = lane(each, partial(encode_clips, options.clips), len)
        self._open: dict[Hashable, list[NDArray[np.uint8]]] = {}
        self._subtitles: dict[Hashable, Future[Said]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        # Ctrl-C does not wait for a running batch, which can take a minute.
        self._pool.shutdown(wait=kind is not KeyboardInterrupt, cancel_futures=True)

    def begin(self, video: Hashable, unfinished: Callable[[str], Unfinished]) -> None:
        """Take what an earlier run has encoded of a video's streams, and keep there what this one does."""
        for name, lane in self._lanes.items():
            lane.begin(video, unfinished(name))

    def add(self, video: Hashable, sample: Sample) -> None:
        """Take a sample; those of one video come in order. Waits while too much is under way."""
        self._frames.add(video, sample)
        if self._clips is not None:
            frames = self._open.setdefault(video, [])
            for _ in range(sample.rows):
                frames.append(sample.image)
                if len(frames) == SEGMENT:
                    self._clips.add(video, tuple(frames))
                    frames.clear()

    def end(self, video: Hashable, cues: Sequence[Cue], rows: int) -> None:
        """Take note that a video has no more samples, and what is said in it."""
        if self._clips is not None and (frames := self._open.pop(video, [])):
            self._clips.add(video, tuple(frames))
        for lane in self._lanes.values():
            lane.submit(video)
        self._subtitles[video] = self._pool.submit(encode_cues, self._encoder, cues, rows, self._fps)

    def done(self, video: Hashable) -> bool:
        """Whether `take` would not wait."""
        return self._subtitles[video].done() and all(lane.done(video) for lane in self._lanes.values())

    def take(self, video: Hashable) -> tuple[dict[str, Rows], Said]:
        """Return and forget the rows (n, dim) of each stream and the subtitles of a video that ended.

        A frame shown at several grid points repeats. Raises what the encoder raised.
        """
        rows = {name: lane.take(video) for name, lane in self._lanes.items()}
        return rows, self._subtitles.pop(video).result()

    def drop(self, video: Hashable) -> None:
        """Forget a video: it is stored, or will not be."""
        self._open.pop(video, None)
        for lane in self._lanes.values():
            lane.drop(video)


def _rows(samples: Sequence[Sample]) -> int:
    return sum(sample.rows for sample in samples)


def encode_samples(encoder: FrameEncoder, samples: Sequence[Sample]) -> Rows:
    """Return the rows (n, dim) that samples fill, in order; frames of one size are encoded together."""
    order: dict[tuple[int, ...], list[int]] = {}
    for index, sample in enumerate(samples):
        order.setdefault(sample.image.shape, []).append(index)
    vectors = np.zeros((len(samples), encoder.dim), np.float32)
    for indices in order.values():
        vectors[indices] = encoder.images(np.stack([samples[index].image for index in indices]))
    return np.repeat(vectors, [sample.rows for sample in samples], axis=0)


def encode_clips(encoder: ClipEncoder, segments: Sequence[Segment]) -> Rows:
    """Return a row (n, dim) a segment; those that show the same frames, or frames of one size, go together.

    Where a video changes its size inside a segment, the frames of its first size stand for it.
    """
    order: dict[tuple[int, ...], dict[tuple[int, ...], list[int]]] = {}
    for index, segment in enumerate(segments):
        frames = [frame for frame in segment if frame.shape == segment[0].shape]
        alike = order.setdefault((len(frames), *frames[0].shape), {})
        alike.setdefault(tuple(map(id, frames)), []).append(index)
    vectors = np.zeros((len(segments), encoder.dim), np.float32)
    for alike in order.values():
        first = [segments[indices[0]] for indices in alike.values()]
        shown = [np.stack([frame for frame in one if frame.shape == one[0].shape]) for one in first]
        for indices, row in zip(alike.values(), encoder.clips(np.stack(shown)), strict=True):
            vectors[indices] = row
    return vectors


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
