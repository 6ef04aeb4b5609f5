"""From a true moment and a window to the clips the model should find."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.types import Doubles, Floats
from workers.ranker.model.windows import Counts, Windows


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
