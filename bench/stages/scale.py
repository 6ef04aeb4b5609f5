"""What a search costs when the corpus grows, at the same recall."""

import time
from collections.abc import Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench import corpus as corpora
from bench import indexes
from bench.indexes import GroundTruth
from bench.results import Figure, Outcome, Setup
from engine.types import Floats, Hits
from workers.index.effort import Effort
from workers.index.factory import recipe
from workers.index.part import IndexPart
from workers.index.training import train

# Half of them set the effort: by 64 the recall of the others came out .01 off.
_QUERIES = 256
# Every size climbs to the same recall, the smallest from so little and a larger one from where the one before
# it came to. A build begins higher: a small corpus would get more recall than it asks for and look slower
# than it is.
_FIRST = Effort(factor=4, nprobe=16)
PUBLISHED = 383_828


def run(setup: Setup) -> Outcome:
    """Build what `--index auto` picks for one shard of every size, and ask it at its recall."""
    sizes = setup.sizes
    rows: list[Figure] = []
    for segments in sorted(sizes.segments):
        before = [row for row in rows if row.more["nprobe"]]
        first = Effort(*(int(before[-1].more[name]) for name in ("factor", "nprobe"))) if before else _FIRST
        rows.append(_size(setup, segments, first))
    reached = {int(row.more["segments"]): row.value for row in rows}
    small, large = min(reached, key=lambda n: abs(n - PUBLISHED)), max(reached)
    if large > small:
        growth, more = reached[large] / reached[small], {"from": small, "to": large}
        label = "latency of the largest over the published size"
        rows.append(Figure("growth", label, "ours", growth, "x", more))
    notes = [
        "A corpus grows in videos of the same lengths, and the number of things to be seen grows with them. "
        "Every size tries just hard enough for a recall of 0.99.",
        "Vectors are not kept: a sample is made to train on, then all to fill.",
    ]
    return Outcome(rows, notes)


def _size(setup: Setup, segments: int, first: Effort) -> Figure:
    dim = setup.sizes.dim
    counts = corpora.videos_for(segments)
    made = recipe("auto", dim, segments)
    wanted = np.sort(np.random.default_rng(0).choice(segments, made.sample, replace=False))
    asked_of = np.sort(np.random.default_rng(1).choice(segments, min(_QUERIES, segments), replace=False))
    sample, scenes = _drawn(counts, dim, wanted, asked_of)
    queries = corpora.ask(scenes, dim)
    videos, numbers = corpora.tables(counts)
    nearest = corpora.Nearest(queries, indexes.DEPTH)
    blocks = _Fed(corpora.blocks(counts, dim), nearest)

    def build() -> IndexPart:
        return IndexPart.build(train(made, dim, sample), blocks, videos, numbers)

    shard, seconds = indexes.timed_build(build)
    by, asked = GroundTruth(queries, nearest.rows).halves()
    rows_of = partial(_rows, np.cumsum(counts) - counts)
    usual = shard.effort
    first = Effort(min(first.factor, usual.factor), min(first.nprobe, shard.partitions))
    effort = indexes.effort_for(shard, made, rows_of, by, first)
    found = indexes.answers(shard, effort, rows_of, asked)
    taken = indexes.latency(shard, effort, asked.queries, setup.sizes.runs)
    more: dict[str, float | int | str] = {
        "segments": segments,
        "index": "auto",
        "factory": made.label,
        "recall@200": asked.recall(found, indexes.DEPTH),
        "p99_ms": taken.share(0.99),
        "build_s": seconds - blocks.seconds,
        "factor": effort.factor,
        "nprobe": effort.nprobe,
    }
    return Figure(f"segments_{segments}", f"{segments:,} segments", "ours", taken.median, more=more)


class _Fed:
    """Vectors for a build, which are also compared with the queries.

    seconds: of that and of making them, which are not of the build.
    """

    def __init__(self, blocks: Iterator[tuple[Floats, Floats]], nearest: corpora.Nearest) -> None:
        self.seconds = 0.0
        self._blocks, self._nearest = blocks, nearest

    def __iter__(self) -> Iterator[Floats]:
        began = time.perf_counter()
        for vectors, _ in self._blocks:
            self._nearest.add(vectors)
            self.seconds += time.perf_counter() - began
            yield vectors
            began = time.perf_counter()


def _drawn(
    counts: NDArray[np.int64], dim: int, wanted: NDArray[np.int64], asked_of: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return the vectors of some rows, and what the scenes of others show; both ascending."""
    rows = np.union1d(wanted, asked_of)
    vectors, scenes = map(np.concatenate, zip(*corpora.blocks(counts, dim, only=rows), strict=True))
    return vectors[np.searchsorted(rows, wanted)], scenes[np.searchsorted(rows, asked_of)]


def _rows(starts: NDArray[np.int64], hits: Hits) -> NDArray[np.int64]:
    return np.asarray(starts[hits.videos] + hits.segments)
