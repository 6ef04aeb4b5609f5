"""Small sets of segment vectors, and the brute-force answer."""

from collections.abc import Sequence

import numpy as np

from engine.types import Floats, Hits, Ordinals
from workers.index.factory import recipe
from workers.index.part import IndexPart
from workers.index.training import Template, train


def unit(vectors: Floats) -> Floats:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


def clustered(n: int, dim: int, seed: int = 0) -> Floats:
    """Unit vectors around a few centres, as segments of videos are."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(4, n // 40), dim))
    noise = rng.standard_normal((n, dim))
    return unit((centres[np.sort(rng.integers(0, len(centres), n))] + 0.5 * noise).astype(np.float32))


def labels(counts: Sequence[int]) -> tuple[Ordinals, Ordinals]:
    """(video ordinal, segment) of each row, for videos of these many segments."""
    videos = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    segments = np.concatenate([np.arange(count) for count in counts]).astype(np.int32)
    return videos, segments


def template(vectors: Floats, index: str) -> Template:
    return train(recipe(index, vectors.shape[1], len(vectors)), vectors.shape[1], vectors)


def shard(vectors: Floats, counts: Sequence[int], index: str = "flat") -> IndexPart:
    return IndexPart.build(template(vectors, index), [vectors], *labels(counts))


def shards(vectors: Floats, counts: Sequence[int], index: str, n: int) -> list[IndexPart]:
    """The same videos dealt to n shards that share one template."""
    videos, segments = labels(counts)
    trained = template(vectors, index)
    parts = [np.flatnonzero(videos % n == part) for part in range(n)]
    return [IndexPart.build(trained, [vectors[rows]], videos[rows], segments[rows]) for rows in parts]


def merged(answers: Sequence[Hits], k: int) -> Hits:
    """The best k of several shards' hits to one query."""
    videos, segments, scores = (
        np.concatenate([getattr(hits, name) for hits in answers]) for name in ("videos", "segments", "scores")
    )
    best = np.lexsort((segments, videos, -scores))[:k]
    return Hits(videos[best], segments[best], scores[best])


def brute_force(vectors: Floats, counts: Sequence[int], query: Floats, k: int) -> set[tuple[int, int]]:
    videos, segments = labels(counts)
    best = np.argsort(-(vectors.astype(np.float64) @ query.astype(np.float64)), kind="stable")[:k]
    return set(zip(videos[best].tolist(), segments[best].tolist(), strict=True))


def pairs(hits: Hits) -> list[tuple[int, int]]:
    return list(zip(hits.videos.tolist(), hits.segments.tolist(), strict=True))
