"""What a search costs when the corpus grows, at the same recall."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bench import corpus as corpora
from bench import indexes
from bench.indexes import GroundTruth
from bench.results import Figure, Outcome, Setup
from bench.timing import Laps, in_turn
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


@dataclass(frozen=True, slots=True)
class _Grown:
    """What was built of a size. about: its figures but for the latency."""

    segments: int
    search: Callable[[int], object]
    effort: Effort
    about: dict[str, float | int | str]


def run(setup: Setup) -> Outcome:
    """Build what `--index auto` picks for one shard of every size, and ask all at their recall, in turn."""
    grown: list[_Grown] = []
    for segments in sorted(setup.sizes.segments):
        before = [one.effort for one in grown if one.effort.nprobe]
        grown.append(_grown(setup.sizes.dim, segments, before[-1] if before else _FIRST))
    taken = in_turn([one.search for one in grown], setup.sizes.runs)
    rows = [_row(one, laps) for one, laps in zip(grown, taken, strict=True)]
    reached = {one.segments: laps.median for one, laps in zip(grown, taken, strict=True)}
    small, large = min(reached, key=lambda n: abs(n - PUBLISHED)), max(reached)
    if large > small:
        growth, more = reached[large] / reached[small], {"from": small, "to": large}
        label = "latency of the largest over the published size"
        rows.append(Figure("growth", label, "ours", growth, "x", more))
    notes = [
        "A corpus grows in videos of the same lengths, and the number of things to be seen grows with them. "
        "Every size tries just hard enough for a recall of 0.99.",
        "Vectors are not kept: a sample is made to train on, then all to fill. All sizes are asked in turn.",
    ]
    return Outcome(rows, notes)


def _row(grown: _Grown, taken: Laps) -> Figure:
    more = grown.about | {"p99_ms": taken.share(0.99)}
    label = f"{grown.segments:,} segments"
    return Figure(f"segments_{grown.segments}", label, "ours", taken.median, more=more)


def _grown(dim: int, segments: int, first: Effort) -> _Grown:
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
    about: dict[str, float | int | str] = {
        "segments": segments,
        "index": "auto",
        "factory": made.label,
        "recall@200": asked.recall(found, indexes.DEPTH),
        "build_s": seconds - blocks.seconds,
        "factor": effort.factor,
        "nprobe": effort.nprobe,
    }
    return _Grown(segments, indexes.asking(shard, effort, asked.queries), effort, about)


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
