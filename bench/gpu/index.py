"""The nearest 200 of a corpus of the published size, by a flat fp16 index in the device's memory."""

import faiss
import numpy as np
import torch

from bench.gpu.memory import read_ms
from bench.indexes import DEPTH
from bench.results import Figure, Outcome, Setup
from bench.timing import laps
from engine.errors import Unavailable
from engine.types import Floats
from workers.index import gpu
from workers.index.part import IndexPart

SEGMENTS = 383_828
_TOGETHER = 32


def run(setup: Setup, device: torch.device) -> Outcome:
    """Ask one query at a time and many together; Unavailable where FAISS sees no GPU."""
    where = "gpu" if device.type == "cuda" else "cpu"
    if where == "gpu" and not gpu.available():
        raise Unavailable("FAISS sees no GPU: make install FLAVOUR=gpu", "NO_GPU")
    sizes = setup.sizes
    total = round(SEGMENTS * sizes.share)
    rng = np.random.default_rng(1)
    vectors, queries = _unit(rng, total, sizes.dim), _unit(rng, _TOGETHER, sizes.dim)
    part = _part(vectors, where)
    exact = _nearest(vectors, queries, device)
    found = [hits.segments for hits in part.search(queries, DEPTH)]
    recall = float(np.mean([len(np.intersect1d(*pair)) / DEPTH for pair in zip(found, exact, strict=True)]))
    one = laps(lambda run: part.search(queries[run % _TOGETHER][None], DEPTH), sizes.runs, warm=5)
    many = laps(lambda _: part.search(queries, DEPTH), sizes.runs, warm=5)
    floor = read_ms(2.0 * vectors.size, device)
    more = {"recall@200": recall, "of_bandwidth": floor / one.median, "p99_ms": one.share(0.99)}
    rows = [
        Figure("flat", "one query", "ours", one.median, more=more),
        Figure("many", f"{_TOGETHER} queries together, each", "ours", many.median / _TOGETHER),
        Figure("floor", "reading all vectors once, two bytes a number", "floor", floor),
    ]
    return Outcome(rows, [f"{total:,} random vectors of {sizes.dim} dimensions, the nearest {DEPTH}."])


def _unit(rng: np.random.Generator, count: int, dim: int) -> Floats:
    vectors = rng.standard_normal((count, dim), np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def _part(vectors: Floats, device: str) -> IndexPart:
    """Return a part of one video, of which every vector is a segment, with originals in half precision.

    Of such a part the device has a flat copy of the originals; a copy of `flat` would be float32.
    """
    index = faiss.index_factory(vectors.shape[1], "Flat,Refine(SQfp16)", faiss.METRIC_INNER_PRODUCT)
    index.add(vectors)
    rows = np.arange(len(vectors), dtype=np.int32)
    return IndexPart(index, np.zeros_like(rows), rows, device)


def _nearest(vectors: Floats, queries: Floats, device: torch.device) -> list[Floats]:
    """Return the rows of the nearest by torch's products in float32, of every query."""
    held = torch.from_numpy(vectors).to(device)
    scores = torch.from_numpy(queries).to(device) @ held.T
    return list(scores.topk(DEPTH, dim=1).indices.cpu().numpy())
