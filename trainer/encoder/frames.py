"""Frames of videos, decoded once into a small cache."""

from collections.abc import Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput


def frames_at(path: Path, times: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the frames (n, h, w, 3) shown at ascending `times` (n,), in seconds after the first frame.

    The frame shown is the last one presented at or before the instant; past the end, the last one.
    Raises InvalidInput when the file has no picture that can be decoded.
    """
    shown: list[NDArray[np.uint8]] = []
    try:
        with av.open(str(path)) as container:
            held: av.VideoFrame | None = None
            first = 0.0
            for frame in container.decode(video=0):
                at = float(frame.time or 0.0)
                if held is None:
                    first = at
                while held is not None and len(shown) < len(times) and times[len(shown)] < at - first:
                    shown.append(held.to_ndarray(format="rgb24"))
                held = frame
                if len(shown) == len(times):
                    break
            if held is not None and len(shown) < len(times):
                shown += [held.to_ndarray(format="rgb24")] * (len(times) - len(shown))
    except (av.FFmpegError, IndexError) as error:
        raise InvalidInput(f"{path} cannot be decoded ({error}); render the world again.") from error
    if len(shown) < len(times):
        raise InvalidInput(f"{path} has no video frame; render the world again.")
    return np.stack(shown)


def sample_times(
    spans: Sequence[tuple[float, float]], per_span: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return times (len(spans), per_span): one at random in each of `per_span` equal parts of a span."""
    bounds = np.asarray(spans, np.float64).reshape(-1, 2)
    steps = (np.arange(per_span) + rng.random((len(bounds), per_span))) / per_span
    return bounds[:, :1] + steps * (bounds[:, 1:] - bounds[:, :1])
