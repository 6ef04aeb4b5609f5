"""Stored contexts of noise, and the readable form of ranking against them."""

from pathlib import Path

import numpy as np
import torch

from engine.types import Floats
from workers.ranker.scoring.evidence import Evidence, Heads, Jobs, QueryVectors, judge
from workers.ranker.stores.contexts import SUBTITLE, VIDEO, EncodedStore, write_encoded
from workers.ranker.stores.rounding import ContextType


def random_store(generation: Path, dtype: ContextType, lengths: list[int], hidden: int) -> EncodedStore:
    rng = np.random.default_rng(0)
    videos = [
        (
            3 * rng.normal(size=(n, hidden)).astype(np.float32),
            rng.normal(size=(n, hidden)).astype(np.float32),
        )
        for n in lengths
    ]
    write_encoded(generation / "encoded", hidden, 1.0, dtype, videos, "abc")
    return EncodedStore.open(generation)


def random_vectors(rng: np.random.Generator, queries: int, hidden: int) -> QueryVectors:
    drawn = rng.normal(size=(4, queries, hidden)).astype(np.float32)
    drawn[:2] /= np.linalg.norm(drawn[:2], axis=-1, keepdims=True)
    return QueryVectors(*drawn)


def oracle(store: EncodedStore, vectors: QueryVectors, jobs: Jobs, heads: Heads) -> Evidence:
    """Judge every window in torch, from rows that are read with numpy."""
    width = int(jobs.lengths.max())
    present = np.arange(width) < jobs.lengths[:, None]
    rows = np.where(present, jobs.rows[:, None] + np.arange(width), 0)

    def meet(name: str, unit: Floats, linear: Floats) -> tuple[Floats, Floats]:
        stream = store.streams[name]
        units = stream.units(rows.ravel()).reshape(*rows.shape, store.hidden)
        cosines = np.einsum("nlh,nh->nl", units, unit[jobs.queries])
        fits = np.einsum("nlh,nh->nl", units, linear[jobs.queries]) * stream.norms[rows].astype(np.float32)
        return cosines, fits

    video, picture = meet(VIDEO, vectors.unit_video, vectors.linear_video)
    subtitle, words = meet(SUBTITLE, vectors.unit_subtitle, vectors.linear_subtitle)
    r = np.where(present, (picture + words) / 2, np.float32(0))
    tensors = [torch.from_numpy(x) for x in (video, subtitle, r, jobs.lengths, jobs.first, jobs.last)]
    return judge((tensors[0], tensors[1]), tensors[2], tensors[3], (tensors[4], tensors[5]), heads)
