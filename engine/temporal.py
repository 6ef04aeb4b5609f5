"""Temporal IoU and non-maximum suppression.

A span is `[start, end)` in seconds; a row of an (n, 2) float64 array.
"""

import numpy as np
from numpy.typing import NDArray

from engine.types import Doubles, Ordinals

# Rows of a video up to which all their pairs are compared at once.
_FEW = 64


def iou(spans: Doubles, others: Doubles) -> Doubles:
    """Return the temporal IoU of every pair. Shape: (n, 2), (m, 2) -> (n, m), in 0..1; empty spans have 0."""
    return _ratios(spans[:, None], others[None])


def suppress(videos: Ordinals, spans: Doubles, limit: float) -> NDArray[np.intp]:
    """Non-maximum suppression: return the rows to keep, none with IoU > `limit` to a better one of its video.

    Shape: videos (n,), spans (n, 2), both best first.
    """
    alive = np.ones(len(videos), dtype=bool)
    by_video = np.argsort(videos, kind="stable")
    groups = np.split(by_video, np.flatnonzero(np.diff(videos[by_video])) + 1)
    longest = max(map(len, groups))
    if longest <= _FEW:
        for better, worse in _close(by_video, videos, spans, limit, longest):
            if alive[better]:
                alive[worse] = False
        return np.flatnonzero(alive)
    for rows in groups:
        for i, row in enumerate(rows):
            if alive[row]:
                rest = rows[i + 1 :]
                alive[rest[iou(spans[row : row + 1], spans[rest])[0] > limit]] = False
    return np.flatnonzero(alive)


def _close(
    by_video: NDArray[np.intp], videos: Ordinals, spans: Doubles, limit: float, longest: int
) -> list[list[int]]:
    """Return the pairs (better, worse) of a video's rows that overlap by more, ordered by the better one."""
    found = [np.zeros((0, 2), np.intp)]
    for apart in range(1, longest):
        pairs = np.stack([by_video[:-apart], by_video[apart:]], axis=1)
        pairs = pairs[videos[pairs[:, 0]] == videos[pairs[:, 1]]]
        found.append(pairs[_ratios(spans[pairs[:, 0]], spans[pairs[:, 1]]) > limit])
    close = np.concatenate(found)
    ordered: list[list[int]] = close[np.argsort(close[:, 0], kind="stable")].tolist()
    return ordered


def _ratios(spans: Doubles, others: Doubles) -> Doubles:
    """Return the IoU of spans (..., 2) and others that broadcast."""
    start = np.maximum(spans[..., 0], others[..., 0])
    end = np.minimum(spans[..., 1], others[..., 1])
    shared = np.maximum(end - start, 0.0)
    lengths = np.maximum(spans[..., 1] - spans[..., 0], 0.0)
    other_lengths = np.maximum(others[..., 1] - others[..., 0], 0.0)
    union = lengths + other_lengths - shared
    ratio: Doubles = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


def demoted(scores: Doubles, videos: Ordinals, spans: Doubles, overlap: float) -> Doubles:
    """Return scores that rank near duplicates, by IoU with a better moment of the video, after all others."""
    if overlap >= 1 or not len(scores):
        return scores
    order = np.argsort(-scores, kind="stable")
    kept = np.zeros(len(scores), bool)
    kept[order[suppress(videos[order], spans[order], overlap)]] = True
    below = scores.max() - scores.min() + 1
    return np.where(kept, scores, scores - below)
