"""Merges the shards' hits into one top-k list."""

from collections.abc import Sequence

import numpy as np

from engine.types import Hits


def empty() -> Hits:
    """Return no hits."""
    return Hits(np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0, np.float32))


def top_k(parts: Sequence[Hits], k: int) -> Hits:
    """Return the `k` best hits of all parts, best first; equal scores in order of (video, segment).

    The order does not depend on how videos are spread over shards.
    """
    if not parts:
        return empty()
    videos = np.concatenate([part.videos for part in parts])
    segments = np.concatenate([part.segments for part in parts])
    scores = np.concatenate([part.scores for part in parts])
    best = np.lexsort((segments, videos, -scores))[:k]
    return Hits(videos[best], segments[best], scores[best])
