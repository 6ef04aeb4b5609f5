"""Searches among the rows that a filter lets through: every kind of index against brute force."""

import math

import numpy as np
import pytest

from engine import wire_filter
from engine.errors import InvalidInput
from engine.filters import Allowed, Stretch
from engine.types import Floats
from spr.internal.v1 import index_shard_service_pb2 as pb
from tests.workers.index.factories import clustered, labels, pairs, shard, unit
from tests.workers.index.test_living import KINDS, fresh, near, same
from workers.index import living
from workers.index.factory import CODES, LISTED
from workers.index.living import Living

COUNTS = [25] * 48
# What these hold are no vectors: each row is scored as well as its code can.
CODED = ["IVF16,SQfp16", "PQ16x4", "IVF16,PQ16x4", "RaBitQ", "RaBitQfs"]


@pytest.fixture(scope="module")
def vectors() -> Floats:
    return np.random.default_rng(6).permutation(clustered(sum(COUNTS), 32))


@pytest.fixture(scope="module")
def queries(vectors: Floats) -> Floats:
    noise = np.random.default_rng(1).standard_normal((12, 32))
    return unit((vectors[::100] + 0.05 * noise).astype(np.float32))


def best(vectors: Floats, query: Floats, rows: np.ndarray, k: int) -> list[tuple[int, int]]:
    numbers, segments = labels(COUNTS)
    chosen = rows[np.argsort(-(vectors[rows].astype(np.float64) @ query), kind="stable")[:k]]
    return list(zip(numbers[chosen].tolist(), segments[chosen].tolist(), strict=True))


@pytest.mark.parametrize("index", [*KINDS, "HNSW16", "NSG16"])
def test_the_top_k_is_that_of_what_is_let_through(vectors: Floats, queries: Floats, index: str) -> None:
    part = shard(vectors, COUNTS, index)
    half = "SQfp16" in index or index in (CODES, f"IVF16,{LISTED}")
    held = vectors.astype(np.float16).astype(np.float32) if half else vectors
    for share in (0.7, 0.1, 0.01):
        alive = np.random.default_rng(3).random(len(vectors)) < share
        rows = np.flatnonzero(alive)
        # One list and one candidate a hit: what is not found that way is compared one by one.
        found = part.search(queries, 10, nprobe=1, factor=1, living=Living(alive, filtered=True))
        if index in CODED:
            same(fresh(vectors, rows, index).search(queries, 10, nprobe=16), found)
            continue
        for query, hits in zip(queries, found, strict=True):
            assert pairs(hits) == best(held, query, rows, 10)


@pytest.mark.parametrize("index", ["IVF16,Flat", CODES, f"IVF16,{LISTED}", "HNSW16", "IVF16,PQ16x4"])
def test_too_few_in_a_large_filter_are_completed(
    vectors: Floats, queries: Floats, index: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(living, "EXACT_VALUES", 0)
    part = shard(vectors, COUNTS, index)
    alive = ~near(vectors, queries, 300)
    # In a filter a search visits as many more lists as it leaves rows away.
    usual = part.search(queries, 40, nprobe=math.ceil(len(alive) / alive.sum()), living=Living(alive))
    found = part.search(queries, 40, nprobe=1, living=Living(alive, filtered=True))
    assert all(len(hits) == min(40, int(alive.sum())) for hits in found)
    for one, other in zip(usual, found, strict=True):
        if len(one) == len(other):
            same([one], [other])


@pytest.mark.parametrize("share", [0.5, 0.1, 0.03])
def test_lists_find_as_much_in_a_large_filter_as_without(
    vectors: Floats, queries: Floats, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(living, "EXACT_VALUES", 0)
    part = shard(vectors, COUNTS, f"IVF64,{LISTED}")
    blurred = unit(queries + queries[::-1])
    alive = np.random.default_rng(4).random(len(vectors)) < share

    def recall(rows: np.ndarray, told: Living | None) -> float:
        answers = part.search(blurred, 20, nprobe=2, factor=10, living=told)
        found = [
            len({*pairs(one)} & {*best(vectors, q, rows, 20)})
            for q, one in zip(blurred, answers, strict=True)
        ]
        return float(np.mean(found)) / min(20, len(rows))

    usual = recall(np.arange(len(vectors)), None)
    assert 0.6 < usual < 0.97
    assert recall(np.flatnonzero(alive), Living(alive, filtered=True)) >= usual - 0.02


def test_a_shard_is_told_in_few_bytes_and_reads_the_same() -> None:
    ordinals = np.arange(0, 20_000, 2, dtype=np.int32)
    for share in (0.0, 0.001, 0.5, 1.0):
        videos = np.random.default_rng(1).random(20_000) < share
        message = wire_filter.allowed_to_pb(Allowed(videos, 0, Stretch(0.25, 0.5, True)), ordinals)
        assert (message is None) == (not videos[ordinals].any())
        if message is not None:
            assert message.ByteSize() <= len(ordinals) // 8 + 30
            mask, stretch = wire_filter.allowed_from_pb(message, ordinals)
            np.testing.assert_array_equal(mask, videos[ordinals])
            assert stretch == Stretch(0.25, 0.5, True)


@pytest.mark.parametrize(
    "message",
    [
        pb.Allowed(bitmap=b"\xff"),
        pb.Allowed(bitmap=b""),
        pb.Allowed(ordinals=np.array([1], "<i4").tobytes()),
        pb.Allowed(ordinals=np.array([99], "<i4").tobytes()),
        pb.Allowed(ordinals=b"abc"),
        pb.Allowed(bitmap=b"\xff\xff", start=3, end=2),
        pb.Allowed(bitmap=b"\xff\xff", start=float("nan")),
    ],
)
def test_what_no_coordinator_sends_is_refused(message: pb.Allowed) -> None:
    with pytest.raises(InvalidInput):
        wire_filter.allowed_from_pb(message, np.arange(0, 24, 2, dtype=np.int32))
