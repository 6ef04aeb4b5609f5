"""Measure a written index's recall against brute force; set the search effort that the asked recall takes."""

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from engine.cores import cores
from engine.entries import SearchEntry
from engine.errors import Mismatch
from engine.types import Doubles, Floats, Hits
from trainer.generation.plan import Plan
from workers.feature_store.store import FeatureStore
from workers.index.effort import Effort, least
from workers.index.factory import CODES_SEGMENTS
from workers.index.files import write_effort
from workers.index.part import IndexPart
from workers.ranker.encoder.known_queries import POOLED
from workers.ranker.projection.projector import MeanPool, Projector

DEPTH = 200
QUERIES = 64
# Of large collections, whose lists miss much of a few queries: the mean of 64 is no better than .004.
MORE_QUERIES = 256
# Disturbed segments lie as far from theirs (cosine 0.89) as a good query from what it describes.
NOISE = 0.5
LARGEST_FACTOR = 160
# Scores this close are equal: float32 sums in another order.
TOLERANCE = 1e-6

_BLOCK = 16_384
EXACT = ("Flat", "flatl2")
UNFIT = "INDEX_UNFIT"  # the reason of the error
# An index with less recall is broken, not coarse: some factories have built such without an error.
_LOWEST_RECALL = 0.02


def check(folders: Sequence[Path], collection: Path, plan: Plan, vectors: Floats) -> SearchEntry:
    """Measure the written parts' recall and set the effort that the asked recall takes.

    folders: of the index of each shard's part. vectors: (segments, dim), all of them. Raises Mismatch
    (INDEX_UNFIT) where no effort reaches it.
    """
    texts = plan.clip_encoder or plan.encoder
    asked = real_queries(
        collection, texts.fingerprint, plan.projector, plan.device, plan.dim, count(len(vectors))
    )
    queries = sample_queries(asked, vectors)
    shards = [IndexPart.open(folder, "cpu") for folder in folders]
    starts = np.cumsum(plan.counts) - plan.counts
    truth = ExactAnswers(vectors, queries, [starts[plan.shards == number] for number in range(len(shards))])
    recall, effort = reach(folders, shards, truth, plan.recipe.label, plan.recipe.recall)
    milliseconds = _latency(max(shards, key=len), queries, truth.depth, effort)
    return SearchEntry(
        round(recall, 4), truth.depth, len(queries), len(asked), effort.factor, effort.nprobe, milliseconds
    )


def reach(
    folders: Sequence[Path], shards: Sequence[IndexPart], truth: "ExactAnswers", label: str, asked: float
) -> tuple[float, Effort]:
    """Set the least effort, from that of `shards` on, that finds the share `asked`; return what is found.

    folders: where the shards were written. label: the index's name. Mismatch (UNFIT) where no effort
    reaches it.
    """
    most = Effort(LARGEST_FACTOR, max(shard.partitions for shard in shards))
    start = shards[0].effort
    most = Effort(most.factor if start.factor else 0, most.nprobe)
    effort, recall = least(lambda tried: truth.recalls(shards, tried), start, most, asked)
    _accept(label, asked, recall, effort)
    if effort != start:
        for folder in folders:
            write_effort(effort, folder)
    return recall, effort


class Rows(Protocol):
    """Vectors (n, dim), taken by slices or by arrays of row numbers: an array, or what reads such."""

    def __len__(self) -> int: ...

    def __getitem__(self, rows: Any, /) -> Any: ...


class ExactAnswers:
    """The exact answers to some queries. depth: how many of the nearest segments count."""

    def __init__(self, vectors: Rows, queries: Floats, starts: Sequence[NDArray[np.int64]]) -> None:
        """vectors: (segments, dim); queries: (nq, dim); starts: of each shard (videos,) their first rows."""
        self.depth = min(DEPTH, len(vectors))
        self._vectors, self._queries, self._starts = vectors, queries, starts
        best = np.full((len(queries), 0), 0, np.float32)
        for first in range(0, len(vectors), _BLOCK):
            scores = np.hstack([best, queries @ vectors[first : first + _BLOCK].T])
            best = -np.partition(-scores, min(self.depth, scores.shape[1]) - 1, axis=1)[:, : self.depth]
        self._worst = best.min(axis=1)

    def recalls(self, shards: Sequence[IndexPart], effort: Effort) -> Doubles:
        """Return, (nq,), the share of each query's nearest segments that all shards together find."""
        answers = searched(shards, self._queries, self.depth, effort)
        found = np.zeros(len(self._queries))
        for query, hits in enumerate(zip(*answers, strict=True)):
            places = zip(self._starts, hits, strict=True)
            rows = np.concatenate([starts[part.videos] + part.segments for starts, part in places])
            order = np.argsort(-np.concatenate([part.scores for part in hits]), kind="stable")
            exact = self._vectors[np.sort(rows[order[: self.depth]])] @ self._queries[query]
            found[query] = (exact >= self._worst[query] - TOLERANCE).sum()
        return found / self.depth


def searched(shards: Sequence[IndexPart], queries: Floats, k: int, effort: Effort) -> list[list[Hits]]:
    """Return of each shard the hits of every query, by all threads: FAISS takes one for lists it is told."""
    # As many as this thread may use: of a library process those that its topology says.
    threads = min(cores(), torch.get_num_threads())
    few = [block for block in np.array_split(queries, threads) if len(block)]

    def search(shard: IndexPart, block: Floats) -> list[Hits]:
        return shard.search(block, k, effort.nprobe or None, effort.factor or None)

    # One thread each: a new thread counts on all cores for itself.
    pool = ThreadPoolExecutor(threads, initializer=faiss.omp_set_num_threads, initargs=(1,))
    try:
        waiting = [[pool.submit(search, shard, block) for block in few] for shard in shards]
        return [[hits for block in blocks for hits in block.result()] for blocks in waiting]
    finally:
        # After an error or Ctrl-C no further block is begun.
        pool.shutdown(cancel_futures=True)


def count(segments: int) -> int:
    """Return how many queries the recall of so many segments is measured by."""
    return MORE_QUERIES if segments > CODES_SEGMENTS else QUERIES


def sample_queries(real: Floats, vectors: Rows) -> Floats:
    """Return `count` unit vectors (nq, dim), the same ones every time: real ones, and disturbed segments."""
    rng = np.random.default_rng(0)
    rows = np.sort(rng.integers(len(vectors), size=count(len(vectors)) - len(real)))
    noise = rng.standard_normal((len(rows), real.shape[1])).astype(np.float32)
    made = vectors[rows] + NOISE * _unit(noise)
    return _unit(np.concatenate([real, made]))


def real_queries(
    collection: Path, encoder: str, projector: Projector | MeanPool, device: torch.device, dim: int, most: int
) -> Floats:
    """Return unit vectors (n, dim) of up to `most` queries whose features the collection holds."""
    path = collection / "queries" / encoder
    if not (path / "store.json").is_file():
        return np.zeros((0, dim), np.float32)
    store = FeatureStore.open(path)
    ids = store.ids()
    chosen = np.sort(np.random.default_rng(0).choice(len(ids), min(most, len(ids)), replace=False))
    rows = [np.asarray(store.rows(ids[number], POOLED), np.float32) for number in chosen]
    if not rows or rows[0].shape[1] != dim:
        return np.zeros((0, dim), np.float32)
    with torch.inference_mode():
        pooled = torch.from_numpy(np.concatenate(rows)).to(device)
        projected: Floats = projector.queries(pooled).float().cpu().numpy()
    return _unit(projected)


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def _accept(label: str, wanted: float, recall: float, effort: Effort) -> None:
    """Refuse an index that finds too little."""
    asked = max(wanted, 0.999 if label in EXACT else _LOWEST_RECALL)
    if recall >= asked:
        return
    raised = ", ".join(
        f"{name} {value}" for name, value in (("factor", effort.factor), ("nprobe", effort.nprobe)) if value
    )
    at = f" at {raised}, the most there is," if raised else ""
    message = f"index {label!r} finds {recall:.4f} of the nearest segments{at} and {asked} is asked: "
    raise Mismatch(message + "use --index flat, or ask less with --recall.", reason=UNFIT)


def _latency(shard: IndexPart, queries: Floats, depth: int, effort: Effort) -> float:
    """Return the median milliseconds of one query on one thread."""
    threads = torch.get_num_threads()  # FAISS and torch set each other's
    faiss.omp_set_num_threads(1)
    elapsed: list[float] = []
    for query in queries[:32]:
        began = time.perf_counter()
        shard.search(query[None], depth, effort.nprobe or None, effort.factor or None)
        elapsed.append(1000 * (time.perf_counter() - began))
    faiss.omp_set_num_threads(threads)
    torch.set_num_threads(threads)
    return round(statistics.median(elapsed), 3)
