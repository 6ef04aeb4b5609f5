"""Which FAISS index an `--index` means, and how much training it wants.

auto       what suits the size of a shard           (the default; see `_auto`)
fast       the lowest latency that finds most       IVF<lists>,RaBitQ,Refine(SQfp16)
flat       exact inner product                      nothing to train
flatl2     exact L2, the same order on unit vectors
ivfflat    inverted lists over exact vectors        IVF<partitions>,Flat
ivfpq      inverted lists over 16-byte codes        IVF<partitions>,PQ16x8
FACTORY    any string of faiss.index_factory, such as "IVF256,SQfp16" or "RaBitQfs,Refine(SQfp16)"
"""

import dataclasses
import math
import re
from dataclasses import dataclass

from engine.errors import InvalidInput

NAMES = ("auto", "fast", "flat", "flatl2", "ivfflat", "ivfpq")
PQ_BYTES = 16
PQ_CENTROIDS = 256
# FAISS warns below 39 training vectors a list: centroids of fewer follow the noise.
VECTORS_PER_LIST = 39
SAMPLE_PER_LIST = 64
SAMPLE_AT_LEAST = 65_536

# One bit a dimension finds candidates, half-precision originals score them: FAISS's names for it.
CODES = "RaBitQfs,Refine(SQfp16)"
# The same codes in lists, compared by their bits: tables of a query (fs) pay for long lists only. Measured in
# docs/experiments/2026-11-index.md.
LISTED = "RaBitQ,Refine(SQfp16)"
# Reading this many numbers takes as long as scanning codes: 13,000 segments of 768, 39,000 of 256.
FLAT_VALUES = 10_000_000
# Scanning all codes takes a millisecond up to here; beyond it lists of codes take less.
CODES_SEGMENTS = 100_000
# Lists of codes are trained quickly: few vectors a list, few rounds, from well-spread first centroids.
QUICK_SAMPLE_PER_LIST = 32
QUICK_ROUNDS = 5
# Recall that a build asks for by default.
AUTO_RECALL = 0.99
FAST_RECALL = 0.95


@dataclass(frozen=True, slots=True)
class Recipe:
    """An index to build. label: how the manifest names it. factory, l2: for faiss.index_factory.

    partitions: inverted lists, 0 without. nprobe: lists a search visits by default. sample: how many vectors
    to train on. rounds: of k-means, from spread centroids; 0 for FAISS's own way. recall: asked of the built
    index, 0 for nothing. factor: candidates a hit that are scored anew at first, where there are originals.
    """

    label: str
    factory: str
    l2: bool
    partitions: int
    nprobe: int
    sample: int
    rounds: int = 0
    recall: float = 0.0
    factor: int = 10


def recipe(index: str, dim: int, vectors: int, shards: int = 1) -> Recipe:
    """Return what to build for `vectors` segments of width `dim` in all, dealt to `shards`.

    Raises InvalidInput for what cannot be.
    """
    kind = index.strip()
    if not kind or vectors < 1:
        raise InvalidInput("an index needs a type and at least one segment; ingest videos first.")
    if kind in ("auto", "fast"):
        if kind == "fast":
            return _lists(vectors, quick_partitions(vectors))
        return _auto(dim, vectors, -(-vectors // shards))
    if kind in ("flat", "flatl2"):
        return Recipe("Flat" if kind == "flat" else "flatl2", "Flat", kind == "flatl2", 0, 0, 0)
    if kind == "ivfpq":
        _check_pq(dim, vectors)
    codec = {"ivfflat": "Flat", "ivfpq": f"PQ{PQ_BYTES}x8"}.get(kind)
    factory = f"IVF{default_partitions(vectors)},{codec}" if codec else kind
    partitions = _partitions_of(factory)
    if partitions > vectors:
        message = f"index {kind!r} wants {partitions} lists but there are {vectors} segments: "
        raise InvalidInput(message + "use fewer lists, or --index flat.")
    wanted = max(SAMPLE_PER_LIST * partitions, SAMPLE_AT_LEAST)
    return Recipe(factory, factory, False, partitions, default_nprobe(partitions), min(vectors, wanted))


def _auto(dim: int, vectors: int, largest: int) -> Recipe:
    """Return the recipe for shards of `largest` segments: exact while as fast, then codes, then lists."""
    if largest * dim <= FLAT_VALUES:
        return recipe("flat", dim, vectors)
    if largest > CODES_SEGMENTS:
        return dataclasses.replace(_lists(vectors, quick_partitions(largest)), recall=AUTO_RECALL)
    return Recipe(CODES, CODES, False, 0, 0, min(vectors, SAMPLE_AT_LEAST), recall=AUTO_RECALL)


def _lists(vectors: int, partitions: int) -> Recipe:
    """Return lists of codes, at the effort and the recall of `fast`."""
    factory = f"IVF{partitions},{LISTED}"
    sample = min(vectors, max(QUICK_SAMPLE_PER_LIST * partitions, SAMPLE_AT_LEAST))
    nprobe = default_nprobe(partitions)
    return Recipe(factory, factory, False, partitions, nprobe, sample, QUICK_ROUNDS, FAST_RECALL, factor=4)


def quick_partitions(vectors: int) -> int:
    """Return 2^ceil(log2(2 sqrt(n))), a quarter of the published number, capped to 39 vectors a list.

    >>> quick_partitions(383_828), quick_partitions(3_200_000), quick_partitions(1_000)
    (2048, 4096, 25)
    """
    quarter: int = 2 ** math.ceil(math.log2(2 * math.sqrt(vectors)))
    return max(1, min(quarter, vectors // VECTORS_PER_LIST))


def default_partitions(vectors: int) -> int:
    """Return 2^ceil(log2(8 sqrt(n))), the published rule, capped to 39 vectors a list.

    >>> default_partitions(383_828), default_partitions(1_000)
    (8192, 25)
    """
    published: int = 2 ** math.ceil(math.log2(8 * math.sqrt(vectors)))
    return max(1, min(published, vectors // VECTORS_PER_LIST))


def default_nprobe(partitions: int) -> int:
    """Return one list in 64, the published share, but at least 16.

    >>> default_nprobe(8192), default_nprobe(256), default_nprobe(4)
    (128, 16, 4)
    """
    return min(partitions, max(16, partitions // 64))


def _partitions_of(factory: str) -> int:
    found = re.search(r"IVF(\d+)(k?)", factory)
    return int(found[1]) * (1024 if found[2] else 1) if found else 0


def _check_pq(dim: int, vectors: int) -> None:
    if vectors < PQ_CENTROIDS:
        message = f"index 'ivfpq' trains {PQ_CENTROIDS} centroids but there are {vectors} segments: "
        raise InvalidInput(message + "ingest more videos, or use --index flat or ivfflat.")
    if dim % PQ_BYTES:
        message = f"index 'ivfpq' cuts a vector into {PQ_BYTES} parts but the dimension is {dim}: "
        raise InvalidInput(message + "use --index flat, ivfflat or a factory such as IVF64,PQ8x8.")
