"""The one featurisation of segments, from a video's rows to inputs, for whatever embeds videos.

These are training, build, evaluation and export; a search embeds its query alone.
"""

from collections.abc import Callable, Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray


def video_rows(streams: Sequence[str], read: Callable[[str], NDArray[Any]]) -> NDArray[np.floating[Any]]:
    """Return a video's rows (frames, width) of a projector's `streams`, side by side, as `read` gives them.

    What a video says less of than it has frames is silence, zeros; what it says longer is left out.
    """
    frames, *others = (read(stream) for stream in streams)
    if not others:
        return frames
    rows = np.zeros((len(frames), sum(part.shape[1] for part in (frames, *others))), frames.dtype)
    rows[:, : frames.shape[1]] = frames
    at = frames.shape[1]
    for part in others:
        rows[: len(part), at : at + part.shape[1]] = part[: len(frames)]
        at += part.shape[1]
    return rows


def segment_rows(frames: int, segment_length: int, around: int = 0) -> NDArray[np.int64]:
    """Return (ceil(frames / segment_length), segment_length + 2 around) frame numbers.

    The first frame stands for those before it, the last one for those behind it.

    >>> segment_rows(5, 3).tolist()
    [[0, 1, 2], [3, 4, 4]]
    >>> segment_rows(5, 3, around=1).tolist()
    [[0, 0, 1, 2, 3], [2, 3, 4, 4, 4]]
    """
    starts = np.arange(0, frames, segment_length)
    offsets = np.arange(-around, segment_length + around)
    return np.asarray(np.clip(starts[:, None] + offsets, 0, frames - 1))


@overload
def segment_inputs(frames: torch.Tensor, segment_length: int, around: int = 0) -> torch.Tensor: ...
@overload
def segment_inputs(
    frames: NDArray[np.floating], segment_length: int, around: int = 0
) -> NDArray[np.floating]: ...
def segment_inputs(
    frames: torch.Tensor | NDArray[np.floating], segment_length: int, around: int = 0
) -> torch.Tensor | NDArray[np.floating]:
    """Cut a video's frame features (n, dim) into (segments, segment_length + 2 around, dim)."""
    rows = segment_rows(len(frames), segment_length, around)
    if isinstance(frames, torch.Tensor):
        return frames[torch.from_numpy(rows).to(frames.device)]
    return frames[rows]
