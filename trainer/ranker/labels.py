"""From a true moment and a window to the clips the model should find."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.types import Doubles, Floats
from workers.ranker.context import ContextStore
from workers.ranker.windows import Counts, WindowConfig, Windows


@dataclass(frozen=True, slots=True)
class ClipLabels:
    """The moment inside its window: first, last (n,) clips, inclusive; valid (n,) where the two overlap."""

    first: Counts
    last: Counts
    valid: NDArray[np.bool_]


def clip_labels(windows: Windows, moments: Doubles, clip_length: float) -> ClipLabels:
    """Return the clips that moments (n, 2), in seconds, touch.

    Where moment and window do not overlap the clips are those of the published arithmetic, which are no
    labels (last < first, or beyond the window); `valid` says so and they must not be trained on.
    """
    begins = np.maximum(moments[:, 0], windows.origins) - windows.origins
    ends = np.minimum(moments[:, 1], windows.last * clip_length) - windows.origins
    first = np.minimum(np.floor(begins / windows.steps).astype(np.int64), windows.lengths)
    last = np.minimum(np.ceil(ends / windows.steps).astype(np.int64), windows.lengths) - 1
    return ClipLabels(first, last, (ends > begins) & (first <= last) & (first < windows.lengths))


def foreground(labels: ClipLabels, width: int) -> Floats:
    """Return (n, width): 1 on the clips of valid labels."""
    clips = np.arange(width)
    inside = (clips >= labels.first[:, None]) & (clips <= labels.last[:, None]) & labels.valid[:, None]
    return inside.astype(np.float32)


def proposal_clips(windows: Windows, spans: Doubles) -> Counts:
    """Return the first and the last clip, inclusive, that each window's proposal (n, 2) touches: (n, 2)."""
    first = np.floor((spans[:, 0] - windows.origins) / windows.steps)
    last = np.ceil((spans[:, 1] - windows.origins) / windows.steps) - 1
    highest = np.maximum(windows.lengths - 1, 0)
    columns = (np.clip(first, 0, highest), np.clip(np.maximum(last, first), 0, highest))
    return np.stack(columns, axis=1).astype(np.int64)


def widened(
    windows: Windows, halo: int, contexts: ContextStore, config: WindowConfig
) -> tuple[Windows, Counts]:
    """Return windows with up to `halo` more clips on both sides, and how many there are in front, (n,).

    A window that is pooled already stays as it is: its clips are not those of the features.
    """
    offsets = contexts.offsets(config.video_stream)
    clips = offsets[windows.videos + 1] - offsets[windows.videos]
    more = np.where(windows.last - windows.first > windows.lengths, 0, halo)
    first = np.maximum(windows.first - more, 0)
    last = np.minimum(windows.last + more, clips)
    before = windows.first - first
    lengths = np.where(more > 0, last - first, windows.lengths)
    origins = windows.origins - before * windows.steps
    return replace(windows, first=first, last=last, lengths=lengths, origins=origins), before
