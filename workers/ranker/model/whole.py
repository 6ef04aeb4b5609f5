"""Contexts of whole videos, as they are stored: every clip encoded once, whatever window will ask for it.

The published attention reads windows of `max_clips` clips. A longer video is laid out in windows that overlap
by half, and each clip is taken from the window in whose middle it lies best. Where a clip's vector depends on
its neighbours alone, a video is cut into pieces with as many neighbours on both sides as count.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from engine.types import Floats
from workers.ranker.model.relo import Relo
from workers.ranker.model.side_by_side import in_turn
from workers.ranker.model.windows import Counts, WindowConfig, Windows, batches, gather
from workers.ranker.stores.features import FeatureMaps

# Clips encoded at a time: enough for full matrix products, few enough for a processor's caches.
AT_ONCE = 2048
# Clips that a piece is kept for, besides its neighbours.
PIECE = 256


def pieces(clips: int, config: WindowConfig, halo: int) -> Counts:
    """Lay a video of `clips` clips out in pieces: rows of (first, last, kept from, kept to), ends exclusive.

    halo: clips on each side that a clip's vector depends on; 0 where it depends on its whole window.
    """
    if halo:
        kept = np.arange(0, clips, PIECE)
        ends = np.minimum(kept + PIECE, clips)
        return np.stack([np.maximum(kept - halo, 0), np.minimum(ends + halo, clips), kept, ends], axis=1)
    size = config.max_clips
    if clips <= size:
        return np.array([[0, clips, 0, clips]] if clips else np.zeros((0, 4)), np.int64).reshape(-1, 4)
    first = np.append(np.arange(0, clips - size, max(1, size // 2)), clips - size)
    # The border of two windows lies half way between their middles.
    borders = np.concatenate([[0], (first[1:] + first[:-1] + size) // 2, [clips]])
    return np.stack([first, first + size, borders[:-1], borders[1:]], axis=1)


@dataclass(frozen=True, slots=True)
class _Job:
    """Pieces `rows` of a video; see `pieces`. clips: the video's. last: whether no others of it follow."""

    video: int
    clips: int
    places: Counts
    rows: Counts
    last: bool


def encode_videos(
    model: Relo,
    contexts: FeatureMaps,
    device: torch.device,
    on_done: Callable[[int], None] | None = None,
) -> Iterator[tuple[Floats, Floats]]:
    """Yield every video's contexts, video (n, h) and subtitle (n, h) float32, in ordinal order.

    A video's contexts do not depend on which others are encoded, bit by bit: see `in_turn`. on_done: called
    with the number of clips finished.
    """
    jobs = _jobs(contexts.counts(model.config.window.video_stream), model)
    ready: tuple[Floats, ...] = ()
    done = 0
    for job, found in in_turn(partial(_encode, model, contexts, device), jobs, device):
        ready = ready or tuple(np.zeros((job.clips, model.config.hidden), np.float32) for _ in range(2))
        for out, features in zip(ready, found, strict=True):
            _keep(out, features, job.places[job.rows])
        if job.last:
            yield ready[0], ready[1]
            ready, done = (), done + job.clips
            if on_done:
                on_done(done)


def _jobs(counts: Counts, model: Relo) -> Iterator[_Job]:
    for video, clips in enumerate(counts.tolist()):
        places = pieces(clips, model.config.window, model.halo)
        together = batches(places[:, 1] - places[:, 0], AT_ONCE) or [np.zeros(0, np.int64)]
        for number, rows in enumerate(together, 1):
            yield _Job(video, clips, places, rows, number == len(together))


@torch.inference_mode()
def _encode(
    model: Relo, contexts: FeatureMaps, device: torch.device, job: _Job
) -> tuple[_Job, tuple[Floats, Floats]]:
    """Encode pieces of a video; return their contexts, (pieces, clips, h) each."""
    config = model.config.window
    places = job.places[job.rows]
    if not len(places):
        none = np.zeros((0, 0, model.config.hidden), np.float32)
        return job, (none, none)
    lengths = places[:, 1] - places[:, 0]
    origins = places[:, 0].astype(np.float64) * config.clip_length
    steps = np.full(len(places), config.clip_length, np.float64)
    videos = np.full(len(places), job.video, np.int32)
    windows = Windows(videos, places[:, 0], places[:, 1], lengths, origins, steps)
    reading = replace(config, max_clips=max(int(lengths.max()), 1), padding="tight")
    found = gather(windows, contexts, reading)
    tensors = (torch.from_numpy(x).to(device) for x in (found.video, found.subtitles, found.mask))
    context = model.encode_context(*tensors)
    video, subtitle = (x.float().cpu().numpy() for x in (context.video, context.subtitle))
    return job, (video, subtitle)


def _keep(out: Floats, features: Floats, places: Counts) -> None:
    """Copy the part of every piece that is kept to where it lies in the video."""
    for row, (first, _, begin, end) in enumerate(places.tolist()):
        out[begin:end] = features[row, begin - first : end - first]
