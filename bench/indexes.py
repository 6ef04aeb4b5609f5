"""Indexes over vectors: trained, filled, opened as by a worker, and set to the recall that is asked."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from bench.corpus import Corpus
from bench.timing import Laps, laps
from engine.cores import cores
from engine.types import Doubles, Floats, Hits
from trainer.generation.check import LARGEST_FACTOR
from workers.index.effort import Effort, least
from workers.index.factory import Recipe
from workers.index.part import IndexPart
from workers.index.training import Template, train

DEPTH = 200
_BLOCK = 16_384

Blocks = Iterable[Floats]


@dataclass(frozen=True, slots=True)
class GroundTruth:
    """Queries (q, dim), and the rows of their exact nearest vectors (q, DEPTH), best first."""

    queries: Floats
    exact: NDArray[np.int64]

    def halves(self) -> tuple["GroundTruth", "GroundTruth"]:
        """Return every second query, to set an effort by, and the others, to measure what it finds."""
        one, other = (GroundTruth(self.queries[n::2], self.exact[n::2]) for n in range(2))
        return one, other

    def recall(self, found: Sequence[NDArray[np.int64]], depth: int) -> float:
        """Return the share of the first `depth` exact rows among the first `depth` found, of all queries."""
        return float(self.recalls(found, depth).mean())

    def recalls(self, found: Sequence[NDArray[np.int64]], depth: int) -> Doubles:
        """Return that share of every query, (q,)."""
        depth = min(depth, self.exact.shape[1])
        shares = [
            len(np.intersect1d(rows[:depth], exact[:depth])) / depth
            for rows, exact in zip(found, self.exact, strict=True)
        ]
        return np.asarray(shares)


def template_of(made: Recipe, corpus: Corpus) -> Template:
    """Return a trained, empty index for a corpus."""
    total, dim = corpus.vectors.shape
    rows = np.sort(np.random.default_rng(0).choice(total, made.sample, replace=False))
    return train(made, dim, np.asarray(corpus.vectors[rows]))


def blocks_of(corpus: Corpus, rows: NDArray[np.int64]) -> Iterator[Floats]:
    """Yield some rows of a corpus, in blocks."""
    for start in range(0, len(rows), _BLOCK):
        yield np.asarray(corpus.vectors[rows[start : start + _BLOCK]])


def timed_build(build: Callable[[], IndexPart]) -> tuple[IndexPart, float]:
    """Return what `build` makes on all cores, and the seconds; searches go on with one thread."""
    faiss.omp_set_num_threads(cores())
    began = time.perf_counter()
    try:
        return build(), time.perf_counter() - began
    finally:
        faiss.omp_set_num_threads(1)


def effort_for(
    shard: IndexPart,
    made: Recipe,
    rows_of: Callable[[Hits], NDArray[np.int64]],
    asked: GroundTruth,
    start: Effort | None = None,
) -> Effort:
    """Return the least effort from `start` on by which a shard finds what its recipe asks for.

    start: as a build starts, if None.
    """
    start = start or shard.effort
    most = Effort(LARGEST_FACTOR if start.factor else 0, shard.partitions)

    def measure(effort: Effort) -> Doubles:
        return asked.recalls(answers(shard, effort, rows_of, asked), DEPTH)

    return least(measure, start, most, made.recall)[0]


def answers(
    shard: IndexPart, effort: Effort, rows_of: Callable[[Hits], NDArray[np.int64]], asked: GroundTruth
) -> list[NDArray[np.int64]]:
    """Return the rows that a shard finds for every query."""
    found = shard.search(asked.queries, DEPTH, effort.nprobe or None, effort.factor or None)
    return [rows_of(hits) for hits in found]


def latency(shard: IndexPart, effort: Effort, queries: Floats, runs: int) -> Laps:
    """Time single queries."""
    return laps(asking(shard, effort, queries), runs, warm=min(len(queries), 64), seconds=15)


def asking(shard: IndexPart, effort: Effort, queries: Floats) -> Callable[[int], object]:
    """Return what searches one query, the next one in each run."""

    def search(run: int) -> object:
        row = run % len(queries)
        return shard.search(queries[row : row + 1], DEPTH, effort.nprobe or None, effort.factor or None)

    return search


def size_mb(folder: Path, *names: str) -> float:
    """Return the megabytes of a shard's files, of all when none is named."""
    return sum(path.stat().st_size for path in folder.iterdir() if not names or path.name in names) / 1e6
