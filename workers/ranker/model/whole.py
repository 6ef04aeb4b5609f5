"""Contexts of whole videos, as they are stored: every clip encoded once, whatever window will ask for it.

The published attention reads windows of `max_clips` clips. A longer video is laid out in windows that overlap
by half, and each clip is taken from the window in whose middle it lies best. Where a clip's vector depends on
its neighbours alone, a video is cut into pieces with as many neighbours on both sides as count.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import torch

from engine.types import Floats
from workers.ranker.model.relo import Relo
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


def encode_videos(
    model: Relo,
    contexts: FeatureMaps,
    device: torch.device,
    on_done: Callable[[int], None] | None = None,
) -> Iterator[tuple[Floats, Floats]]:
    """Yield every video's contexts, video (n, h) and subtitle (n, h) float32, in ordinal order.

    Each video alone: the last bits of a matrix product depend on its size, and a video's contexts must not
    depend on which others are stored with it. on_done: called with the number of clips finished.
    """
    done = 0
    for video, clips in enumerate(contexts.counts(model.config.window.video_stream)):
        yield _encode(model, contexts, video, int(clips), device)
        done += int(clips)
        if on_done:
            on_done(done)


@torch.inference_mode()
def _encode(
    model: Relo, contexts: FeatureMaps, video: int, clips: int, device: torch.device
) -> tuple[Floats, Floats]:
    """Encode a video; return its clips' contexts, (n, h) each."""
    config = model.config.window
    places = pieces(clips, config, model.halo)
    lengths = places[:, 1] - places[:, 0]
    origins = places[:, 0].astype(np.float64) * config.clip_length
    steps = np.full(len(places), config.clip_length, np.float64)
    videos = np.full(len(places), video, np.int32)
    windows = Windows(videos, places[:, 0], places[:, 1], lengths, origins, steps)
    reading = replace(config, max_clips=max(int(lengths.max(initial=1)), 1), padding="tight")
    ready = tuple(np.zeros((clips, model.config.hidden), np.float32) for _ in range(2))
    for rows in batches(lengths, AT_ONCE):
        found = gather(windows.take(rows), contexts, reading)
        tensors = (torch.from_numpy(x).to(device) for x in (found.video, found.subtitles, found.mask))
        context = model.encode_context(*tensors)
        for out, features in zip(ready, (context.video, context.subtitle), strict=True):
            _keep(out, features.float().cpu().numpy(), places[rows])
    return ready[0], ready[1]


def _keep(out: Floats, features: Floats, places: Counts) -> None:
    """Copy the part of every piece that is kept to where it lies in the video."""
    for row, (first, _, begin, end) in enumerate(places.tolist()):
        out[begin:end] = features[row, begin - first : end - first]
