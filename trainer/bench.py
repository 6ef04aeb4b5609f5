"""Time the stages a search passes through, beside the physical floor, in one run on made-up vectors.

Vectors are drawn around shared centres, as the segments of one corpus are; queries lie near vectors. Every
figure is the median of many runs after a warm-up, in milliseconds a query, one query at a time.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.proposals import propose
from engine.types import Floats, Hits
from workers.index.factory import recipe
from workers.index.shard import IndexShard
from workers.index.training import train

DEPTH = 200
VECTORS_A_CENTRE = 250
SEGMENTS_A_VIDEO = 20
SEGMENT = 4.0


@dataclass(frozen=True, slots=True)
class Timing:
    """One row of the table. recall: of the exact top 200, for indexes. build: seconds."""

    stage: str
    milliseconds: float
    recall: float | None = None
    build: float | None = None


def bench(vectors: int, dim: int, indexes: Sequence[str], runs: int, seed: int = 0) -> list[Timing]:
    """Time one pass over memory, every index against the exact answer, and proposals from its hits."""
    rng = np.random.default_rng(seed)
    base = _clustered(vectors, dim, rng)
    queries = _near(base, runs, rng)
    ordinals = np.arange(vectors, dtype=np.int32)
    videos, segments = ordinals // SEGMENTS_A_VIDEO, ordinals % SEGMENTS_A_VIDEO
    rows = [Timing("floor: read every vector once", _median(lambda _: base.sum(), runs))]
    truth: list[Hits] = []
    for name in ["flat", *indexes]:
        began = time.perf_counter()
        shard = IndexShard.build(train(recipe(name, dim, vectors), dim, base), [base], videos, segments)
        built = time.perf_counter() - began
        elapsed = _median(partial(_search, shard, queries), runs)
        found = shard.search(queries, DEPTH)
        truth = truth or found
        recall = statistics.fmean(_overlap(a, b) for a, b in zip(found, truth, strict=True))
        rows.append(Timing(f"top-{DEPTH}: {name}", elapsed, recall, built))
    durations = np.full(videos[-1] + 1, SEGMENTS_A_VIDEO * SEGMENT)
    elapsed = _median(lambda run: propose(truth[run], durations, SEGMENT, None), runs)
    return [*rows, Timing(f"propose: from {DEPTH} hits", elapsed)]


def _clustered(vectors: int, dim: int, rng: np.random.Generator) -> Floats:
    centres = rng.standard_normal((vectors // VECTORS_A_CENTRE, dim), np.float32)
    rows = centres[rng.integers(len(centres), size=vectors)]
    rows += 0.7 * rng.standard_normal((vectors, dim), np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def _near(base: Floats, count: int, rng: np.random.Generator) -> Floats:
    chosen = base[rng.integers(len(base), size=count)]
    queries = chosen + 0.5 / np.sqrt(base.shape[1]) * rng.standard_normal(chosen.shape, np.float32)
    normed: Floats = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    return normed


def _median(work: Callable[[int], Any], runs: int) -> float:
    work(0)
    elapsed = []
    for run in range(runs):
        began = time.perf_counter()
        work(run)
        elapsed.append(time.perf_counter() - began)
    return 1000 * statistics.median(elapsed)


def _search(shard: IndexShard, queries: Floats, run: int) -> None:
    shard.search(queries[run : run + 1], DEPTH)


def _overlap(found: Hits, truth: Hits) -> float:
    return len(np.intersect1d(_rows(found), _rows(truth))) / len(truth)


def _rows(hits: Hits) -> NDArray[np.int64]:
    return hits.videos.astype(np.int64) * SEGMENTS_A_VIDEO + hits.segments
