"""What a search costs when the corpus grows, at the same recall."""

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
_QUERIES = 512
# Every size climbs from so little to the same recall. A build begins higher: a small corpus would get
# more recall than it asks for and look slower than it is.
_FIRST = Effort(factor=4, nprobe=16)
PUBLISHED = 383_828


def run(setup: Setup) -> Outcome:
    """Build what `--index auto` picks for one shard of every size, and ask it at its recall."""
    sizes = setup.sizes
    rows = [_size(setup, segments) for segments in sizes.segments]
    reached = {int(row.more["segments"]): row.value for row in rows}
    small, large = min(reached, key=lambda n: abs(n - PUBLISHED)), max(reached)
    if large > small:
        growth, more = reached[large] / reached[small], {"from": small, "to": large}
        label = "latency of the largest over the published size"
        rows.append(Figure("growth", label, "ours", growth, "x", more))
    notes = [
        "A corpus grows in videos of the same lengths, and the number of things to be seen grows with them. "
        "Every size tries just hard enough for a recall of 0.99.",
        "Vectors are made twice instead of kept: once to train on a sample, once to fill.",
    ]
    return Outcome(rows, notes)


def _size(setup: Setup, segments: int) -> Figure:
    dim = setup.sizes.dim
    counts = corpora.videos_for(segments)
    made = recipe("auto", dim, segments)
    wanted = np.sort(np.random.default_rng(0).choice(segments, made.sample, replace=False))
    asked_of = np.sort(np.random.default_rng(1).choice(segments, min(_QUERIES, segments), replace=False))
    sample, scenes = _drawn(counts, dim, wanted, asked_of)
    queries = corpora.ask(scenes, dim)
    videos, numbers = corpora.tables(counts)
    nearest = corpora.Nearest(queries, indexes.DEPTH)

    def filled() -> Iterator[Floats]:
        for vectors, _ in corpora.blocks(counts, dim):
            nearest.add(vectors)
            yield vectors

    def build() -> IndexPart:
        return IndexPart.build(train(made, dim, sample), filled(), videos, numbers)

    shard, seconds = indexes.timed_build(build)
    by, asked = GroundTruth(queries, nearest.rows).halves()
    rows_of = partial(_rows, np.cumsum(counts) - counts)
    usual = shard.effort
    first = Effort(min(_FIRST.factor, usual.factor), min(_FIRST.nprobe, usual.nprobe))
    effort = indexes.effort_for(shard, made, rows_of, by, first)
    found = indexes.answers(shard, effort, rows_of, asked)
    taken = indexes.latency(shard, effort, asked.queries, setup.sizes.runs)
    more: dict[str, float | int | str] = {
        "segments": segments,
        "index": "auto",
        "factory": made.label,
        "recall@200": asked.recall(found, indexes.DEPTH),
        "p99_ms": taken.share(0.99),
        "build_s": seconds,
        "factor": effort.factor,
        "nprobe": effort.nprobe,
    }
    return Figure(f"segments_{segments}", f"{segments:,} segments", "ours", taken.median, more=more)


def _drawn(
    counts: NDArray[np.int64], dim: int, wanted: NDArray[np.int64], asked_of: NDArray[np.int64]
) -> tuple[Floats, Floats]:
    """Return the vectors of some rows, and what the scenes of others show."""
    vectors, scenes, done = [], [], 0
    for block, shown in corpora.blocks(counts, dim):
        here = slice(done, done + len(block))
        vectors.append(block[_within(wanted, here)])
        scenes.append(shown[_within(asked_of, here)])
        done += len(block)
    return np.concatenate(vectors), np.concatenate(scenes)


def _within(rows: NDArray[np.int64], here: slice) -> NDArray[np.int64]:
    return np.asarray(rows[(rows >= here.start) & (rows < here.stop)] - here.start)


def _rows(starts: NDArray[np.int64], hits: Hits) -> NDArray[np.int64]:
    return np.asarray(starts[hits.videos] + hits.segments)
