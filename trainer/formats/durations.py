"""How long the videos of a corpus are: read from a file, or drawn to be like those of TVR-Ranking."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, NotFound
from engine.files import MALFORMED, read_json

VIDEOS, SEGMENTS, SECONDS = 19_614, 383_828, 1_493_481.55
SEGMENT = 4

# Quantiles of the real durations in seconds; between them a duration is interpolated. Two lumps, sitcoms at a
# minute and dramas at a minute and a half, and a thin tail on both sides.
_SHARES = (
    (0, 2.02), (0.001, 11.02), (0.005, 36.02), (0.01, 43.02), (0.02, 50.02), (0.03, 53.04), (0.05, 56.02),
    (0.1, 58.03), (0.15, 59.03), (0.2, 60.03), (0.25, 60.28), (0.3, 61.03), (0.35, 61.75), (0.4, 62.51),
    (0.45, 64.03), (0.48, 68.02), (0.5, 76.02), (0.55, 86.05), (0.6, 88.3), (0.65, 89.26), (0.7, 90.02),
    (0.75, 90.47), (0.8, 91.03), (0.85, 92.03), (0.9, 93.03), (0.93, 94.03), (0.95, 97.03), (0.97, 103.02),
    (0.98, 114.02), (0.99, 131.03), (0.995, 151.96), (0.999, 176.02), (1, 272.02),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Lengths:
    """Videos by name, sorted: seconds (n,) and frames (n,), one a second."""

    names: list[str]
    seconds: NDArray[np.float64]
    frames: NDArray[np.int64]

    @property
    def segments(self) -> int:
        """How many segments of four seconds there are."""
        return int((-(-self.frames // SEGMENT)).sum())


def lengths(path: Path | None, scale: float, seed: int) -> Lengths:
    """Return `scale` of TVR-Ranking's corpus: of the videos in a file, or of drawn ones.

    At scale 1 there are 19,614 videos and 383,828 segments, as published. Frame counts are not: a video has
    its seconds rounded up, or one more or fewer where that brings the segments to the published number.
    """
    if not 0 < scale <= 1:
        raise InvalidInput(f"--scale {scale:g} is not above 0 and at most 1.")
    rng = np.random.default_rng([seed, 1])
    durations = _read(path) if path else None
    whole = len(durations) if durations is not None else VIDEOS
    count = max(1, round(whole * scale))
    if durations is None:
        names = [f"synthetic_{number:05}" for number in range(count)]
        seconds = rng.permutation(_drawn(count))
    else:
        names = sorted(rng.choice(sorted(durations), count, replace=False).tolist())
        seconds = np.array([durations[name] for name in names])
    frames = np.maximum(np.ceil(seconds), 1).astype(np.int64)
    if whole == VIDEOS:
        frames = _with_segments(seconds, frames, round(SEGMENTS * count / VIDEOS))
    return Lengths(names, seconds, frames)


def _drawn(count: int) -> NDArray[np.float64]:
    """Return durations at even steps through the distribution, with its published mean."""
    shares, quantiles = zip(*_SHARES, strict=True)
    seconds = np.interp((np.arange(count) + 0.5) / count, shares, quantiles)
    scaled: NDArray[np.float64] = seconds * (SECONDS / VIDEOS * count / seconds.sum())
    return scaled


def _with_segments(seconds: NDArray[np.float64], frames: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
    """Add or take a frame where that changes the number of segments, least against the duration first."""
    excess = int((-(-frames // SEGMENT)).sum()) - wanted
    step = -1 if excess > 0 else 1
    # The last frame of these is alone in its segment, or would be.
    movable = np.flatnonzero((frames % SEGMENT == (1 if step < 0 else 0)) & (frames > 1))
    beyond = seconds[movable] - frames[movable]
    chosen = movable[np.argsort(beyond * -step, kind="stable")][: abs(excess)]
    moved = frames.copy()
    moved[chosen] += step
    return moved


def _read(path: Path) -> dict[str, float]:
    """Read {video: seconds} or, as published, {video: [seconds, number]}."""
    try:
        value = read_json(path)
        return {str(name): _seconds(entry) for name, entry in _items(value)}
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist; name a file of durations.") from error
    except MALFORMED as error:
        raise InvalidInput(
            f"{path} is not {{video: seconds}} or {{video: [seconds, id]}} ({error})."
        ) from error


def _items(value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, Mapping) or not value:
        raise TypeError("no object, or an empty one")
    return list(value.items())


def _seconds(entry: Any) -> float:
    seconds = float(entry[0] if isinstance(entry, list) else entry)
    if not 0 < seconds < np.inf:
        raise ValueError(f"a duration of {seconds:g} s")
    return seconds
