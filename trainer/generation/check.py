"""Measure a written index's recall against brute force; set the search effort that the asked recall takes."""

import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from engine.entries import SearchEntry
from engine.errors import Mismatch
from engine.types import Floats
from trainer.generation.plan import Plan
from workers.feature_store.store import FeatureStore
from workers.index.effort import Effort, least
from workers.index.files import write_effort
from workers.index.part import IndexPart
from workers.ranker.encoder.known_queries import POOLED

DEPTH = 200
QUERIES = 64
# Disturbed segments lie as far from theirs (cosine 0.89) as a good query from what it describes.
NOISE = 0.5
LARGEST_FACTOR = 160
# Scores this close are equal: float32 sums in another order.
TOLERANCE = 1e-6

_BLOCK = 16_384
_EXACT = ("Flat", "flatl2")
# An index with less recall is broken, not coarse: some factories have built such without an error.
_LOWEST_RECALL = 0.02


def check(folders: Sequence[Path], collection: Path, plan: Plan, vectors: Floats) -> SearchEntry:
    """Measure the written parts' recall and set the effort that the asked recall takes.

    folders: of the index of each shard's part. vectors: (segments, dim), all of them. Raises Mismatch
    (INDEX_UNFIT) where no effort reaches it.
    """
    queries, real = sample_queries(collection, plan, vectors)
    shards = [IndexPart.open(folder, "cpu") for folder in folders]
    starts = np.cumsum(plan.counts) - plan.counts
    truth = ExactAnswers(vectors, queries, [starts[plan.shards == number] for number in range(len(shards))])
    most = Effort(LARGEST_FACTOR, max(shard.partitions for shard in shards))
    start = shards[0].effort
    most = Effort(most.factor if start.factor else 0, most.nprobe)
    effort, recall = least(lambda tried: truth.recall(shards, tried), start, most, plan.recipe.recall)
    _accept(plan, recall, effort)
    if effort != start:
        for folder in folders:
            write_effort(effort, folder)
    milliseconds = _latency(max(shards, key=len), queries, truth.depth, effort)
    return SearchEntry(
        round(recall, 4), truth.depth, len(queries), real, effort.factor, effort.nprobe, milliseconds
    )


class ExactAnswers:
    """The exact answers to some queries. depth: how many of the nearest segments count."""

    def __init__(self, vectors: Floats, queries: Floats, starts: Sequence[NDArray[np.int64]]) -> None:
        """vectors: (segments, dim); queries: (nq, dim); starts: of each shard (videos,) their first rows."""
        self.depth = min(DEPTH, len(vectors))
        self._vectors, self._queries, self._starts = vectors, queries, starts
        best = np.full((len(queries), 0), 0, np.float32)
        for first in range(0, len(vectors), _BLOCK):
            scores = np.hstack([best, queries @ vectors[first : first + _BLOCK].T])
            best = -np.partition(-scores, min(self.depth, scores.shape[1]) - 1, axis=1)[:, : self.depth]
        self._worst = best.min(axis=1)

    def recall(self, shards: Sequence[IndexPart], effort: Effort) -> float:
        """Return the share of the nearest segments that all shards together find."""
        answers = [
            shard.search(self._queries, self.depth, effort.nprobe or None, effort.factor or None)
            for shard in shards
        ]
        found = 0
        for query, hits in enumerate(zip(*answers, strict=True)):
            places = zip(self._starts, hits, strict=True)
            rows = np.concatenate([starts[part.videos] + part.segments for starts, part in places])
            order = np.argsort(-np.concatenate([part.scores for part in hits]), kind="stable")
            exact = self._vectors[np.sort(rows[order[: self.depth]])] @ self._queries[query]
            found += int((exact >= self._worst[query] - TOLERANCE).sum())
        return found / (self.depth * len(self._queries))


def sample_queries(collection: Path, plan: Plan, vectors: Floats) -> tuple[Floats, int]:
    """Return up to QUERIES unit vectors (nq, dim), the same ones every time, and how many are real queries.

    Real ones are those whose features the collection holds; where they are too few, disturbed segments join.
    """
    rng = np.random.default_rng(0)
    real = _real_queries(collection / "queries" / plan.encoder.fingerprint, plan, rng)
    rows = np.sort(rng.integers(len(vectors), size=QUERIES - len(real)))
    noise = rng.standard_normal((len(rows), plan.dim)).astype(np.float32)
    made = vectors[rows] + NOISE * _unit(noise)
    return _unit(np.concatenate([real, made])), len(real)


def _real_queries(path: Path, plan: Plan, rng: np.random.Generator) -> Floats:
    if not (path / "store.json").is_file():
        return np.zeros((0, plan.dim), np.float32)
    store = FeatureStore.open(path)
    ids = store.ids()
    chosen = np.sort(rng.choice(len(ids), min(QUERIES, len(ids)), replace=False))
    rows = [np.asarray(store.rows(ids[number], POOLED), np.float32) for number in chosen]
    if not rows or rows[0].shape[1] != plan.dim:
        return np.zeros((0, plan.dim), np.float32)
    with torch.inference_mode():
        pooled = torch.from_numpy(np.concatenate(rows)).to(plan.device)
        projected: Floats = plan.projector.queries(pooled).float().cpu().numpy()
    return _unit(projected)


def _unit(rows: Floats) -> Floats:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12), np.float32)


def _accept(plan: Plan, recall: float, effort: Effort) -> None:
    """Refuse an index that finds too little."""
    asked = max(plan.recipe.recall, 0.999 if plan.recipe.label in _EXACT else _LOWEST_RECALL)
    if recall >= asked:
        return
    raised = ", ".join(
        f"{name} {value}" for name, value in (("factor", effort.factor), ("nprobe", effort.nprobe)) if value
    )
    at = f" at {raised}, the most there is," if raised else ""
    message = (
        f"index {plan.recipe.label!r} finds {recall:.4f} of the nearest segments{at} and {asked} is asked: "
    )
    raise Mismatch(message + "use --index flat, or ask less with --recall.", reason="INDEX_UNFIT")


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
