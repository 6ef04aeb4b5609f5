"""From proposals to the model's input: the one featurisation, for training and for serving.

A window is the proposal with some seconds of context on both sides, in whole clips. Its rows are gathered
from memory-mapped features; more than `max_clips` of them are pooled evenly; each is brought to unit length.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch
from engine.types import Doubles, Floats, Ordinals
from workers.ranker.stores.features import FRAMES, SUBTITLES, FeatureMaps, FeatureStream

Counts = NDArray[np.int64]
# Clips that are computed at a time: bounds memory whatever the number of proposals.
MOST_CLIPS = 32768


@dataclass(frozen=True, slots=True)
class WindowConfig:
    """How windows are cut; the defaults are those of the published run.

    clip_length: seconds a feature row stands for. context: seconds added on both sides of a proposal.
    max_clips: longer windows are pooled to so many. max_tokens: longer sentences are cut. padding: "tight"
    pads to the batch's longest, "published" to max_clips and with all that follows from it (see relo.py).
    video_stream, subtitle_stream: which features are read, both a row every clip_length seconds.
    """

    clip_length: float = 1.5
    context: float = 8.0
    max_clips: int = 128
    max_tokens: int = 30
    normalize_video: bool = True
    normalize_subtitles: bool = True
    padding: Literal["tight", "published"] = "tight"
    video_stream: str = FRAMES
    subtitle_stream: str = SUBTITLES

    def __post_init__(self) -> None:
        if not (self.clip_length > 0 and self.context >= 0 and self.max_clips > 0 and self.max_tokens > 0):
            raise InvalidInput(
                f"clip_length {self.clip_length}, context {self.context}, max_clips {self.max_clips} and "
                f"max_tokens {self.max_tokens} cannot cut windows; use positive numbers"
            )


@dataclass(frozen=True, slots=True)
class Windows:
    """Where windows lie; row i belongs to proposal i.

    videos: (n,) ordinals. first, last: (n,) feature rows [first, last) of the video. lengths: (n,) clips the
    model sees, at most max_clips. origins: (n,) seconds of the first clip. steps: (n,) seconds a clip.
    """

    videos: Ordinals
    first: Counts
    last: Counts
    lengths: Counts
    origins: Doubles
    steps: Doubles

    def __len__(self) -> int:
        return len(self.videos)

    def take(self, rows: NDArray[Any] | slice) -> "Windows":
        """Return some of the windows: by index, by a boolean mask, or a range of them as views."""
        return Windows(*(getattr(self, column.name)[rows] for column in fields(self)))


@dataclass(frozen=True, slots=True)
class Clips:
    """What the model reads: video (n, l, dim), subtitles (n, l, dim), mask (n, l) of 1 = valid, float32."""

    video: Floats
    subtitles: Floats
    mask: Floats


def cut(videos: Ordinals, spans: Doubles, contexts: FeatureMaps, config: WindowConfig) -> Windows:
    """Lay a window around every span (n, 2); a video without features gets a window of length 0."""
    for stream in (config.video_stream, config.subtitle_stream):
        if stream not in contexts.streams:
            raise Mismatch(
                f"the ranker reads {stream!r} and the features are {', '.join(sorted(contexts.streams))}; "
                "train a ranker on this collection"
            )
        step = contexts.step(stream)
        if not np.isclose(step, config.clip_length):
            raise Mismatch(
                f"{stream} come every {step} s and the ranker was trained for {config.clip_length} s; "
                "train a ranker on this collection, or ingest it as the ranker's was"
            )
    clips = contexts.counts(config.video_stream)[videos]
    return arrange(videos, spans, contexts.durations[videos], clips, config)


def arrange(
    videos: Ordinals, spans: Doubles, durations: Doubles, clips: Counts, config: WindowConfig
) -> Windows:
    """Do the arithmetic of `cut`. durations, clips: (n,) seconds and feature rows of each span's video."""
    length = config.clip_length
    begins = np.maximum(0.0, spans[:, 0] - config.context)
    ends = np.minimum(spans[:, 1] + config.context, durations)
    first = np.minimum(np.floor(begins / length).astype(np.int64), clips)
    last = np.maximum(np.minimum(np.ceil(ends / length).astype(np.int64), clips), first)
    rows = last - first
    lengths = np.minimum(rows, config.max_clips)
    steps = np.where(rows > config.max_clips, rows * length / config.max_clips, length)
    return Windows(videos, first, last, lengths, first * length, steps)


def joined(windows: Windows, part: Windows, rows: Counts) -> Windows:
    """Return windows with some rows replaced."""
    columns = {}
    for column in fields(windows):
        columns[column.name] = getattr(windows, column.name).copy()
        columns[column.name][rows] = getattr(part, column.name)
    return Windows(**columns)


def proposal_clips(windows: Windows, spans: Doubles) -> Counts:
    """Return the first and the last clip, inclusive, that each window's proposal (n, 2) touches: (n, 2)."""
    clips = (spans - windows.origins[:, None]) / windows.steps[:, None]
    # What ends where a clip ends does not touch the next one; divisions are not that exact.
    first, last = np.floor(clips[:, 0] + 1e-6), np.ceil(clips[:, 1] - 1e-6) - 1
    highest = np.maximum(windows.lengths - 1, 0)
    columns = (np.clip(first, 0, highest), np.clip(np.maximum(last, first), 0, highest))
    return np.stack(columns, axis=1).astype(np.int64)


def widened(
    windows: Windows, halo: int, contexts: FeatureMaps, config: WindowConfig
) -> tuple[Windows, Counts]:
    """Return windows with up to `halo` more clips on both sides, and how many there are in front, (n,).

    A window that is pooled already stays as it is: its clips are not those of the features.
    """
    clips = contexts.counts(config.video_stream)[windows.videos]
    more = np.where(windows.last - windows.first > windows.lengths, 0, halo)
    first = np.maximum(windows.first - more, 0)
    last = np.minimum(windows.last + more, clips)
    before = windows.first - first
    lengths = np.where(more > 0, last - first, windows.lengths)
    origins = windows.origins - before * windows.steps
    return replace(windows, first=first, last=last, lengths=lengths, origins=origins), before


def gather(windows: Windows, contexts: FeatureMaps, config: WindowConfig) -> Clips:
    """Read the features of windows, padded to the longest of them (or to max_clips, as published)."""
    longest = int(windows.lengths.max(initial=1))
    width = config.max_clips if config.padding == "published" else max(longest, 1)
    video = _read(windows, contexts.streams[config.video_stream], width, config, config.normalize_video)
    spoken = contexts.streams[config.subtitle_stream]
    subtitles = _read(windows, spoken, width, config, config.normalize_subtitles)
    mask = (np.arange(width) < windows.lengths[:, None]).astype(np.float32)
    return Clips(video, subtitles, mask)


def batches(lengths: Counts, most: int = MOST_CLIPS) -> list[Counts]:
    """Split windows into batches of similar length and about `most` clips; empty windows are left out."""
    order = np.argsort(lengths, kind="stable")
    order = order[lengths[order] > 0]
    if not len(order):
        return []
    # A quarter longer than the shortest of a batch starts the next one.
    steps = np.floor(np.log(lengths[order]) / np.log(1.25)).astype(np.int64)
    groups = np.split(order, np.flatnonzero(np.diff(steps)) + 1)
    return [
        part
        for group in groups
        for part in np.array_split(group, max(1, -(-int(lengths[group].sum()) // most)))
    ]


def token_batch(tokens: Sequence[NDArray[Any]], config: WindowConfig) -> tuple[Floats, Floats]:
    """Return unit-length tokens (n, t, dim) and mask (n, t) of sentences (t_i, dim)."""
    cut_short = [sentence[: config.max_tokens] for sentence in tokens]
    counts = np.array([len(sentence) for sentence in cut_short])
    if not counts.all():
        raise InvalidInput("a sentence has no tokens; give every query at least one word")
    mask = np.arange(counts.max()) < counts[:, None]
    batch = np.zeros((*mask.shape, cut_short[0].shape[1]), np.float32)
    batch[mask] = unit(np.concatenate(cut_short).astype(np.float32))
    return batch, mask.astype(np.float32)


def unit(rows: Floats) -> Floats:
    """Return x / (|x| + 1e-5) for every row; rows of zeros stay zeros."""
    norms: Floats = np.sqrt(np.einsum("...d,...d->...", rows, rows))
    scaled: Floats = rows / (norms[..., None] + np.float32(1e-5))
    return scaled


def pool(rows: Floats, length: int, whole: bool = True) -> Floats:
    """Average (n, dim) evenly to (length, dim); fewer rows are returned as they are.

    The published code (whole = False) leaves the very last row out from n = 1.5 * length on.
    """
    n = len(rows)
    if n <= length:
        return rows
    borders = np.round(np.arange(length + 1) / length * n).astype(np.int64)
    borders = np.minimum(borders, n if whole else n - 1)
    counts = np.maximum(np.diff(borders), 1)
    pooled: Floats = np.add.reduceat(rows[: max(borders[-1], borders[-2] + 1)], borders[:-1], axis=0)
    averaged: Floats = (pooled / counts[:, None]).astype(np.float32)
    return averaged


def _read(
    windows: Windows, stream: FeatureStream, width: int, config: WindowConfig, normalize: bool
) -> Floats:
    starts = stream.starts[windows.videos] + windows.first
    # A stream may be shorter than the video's: what it lacks is zero.
    there = np.minimum(stream.counts[windows.videos] - windows.first, windows.last - windows.first)
    places = np.arange(width)
    valid = places < np.minimum(there, config.max_clips)[:, None]
    features = np.zeros((len(windows), width, stream.dim), np.float32)
    features[valid] = stream.rows[(starts[:, None] + places)[valid]]
    for row in np.flatnonzero(windows.last - windows.first > config.max_clips):
        whole = np.zeros((windows.last[row] - windows.first[row], stream.dim), np.float32)
        whole[: max(there[row], 0)] = stream.rows[starts[row] : starts[row] + max(there[row], 0)]
        features[row] = pool(whole, config.max_clips, config.padding == "tight")
    return unit(features) if normalize else features
