"""Searches that leave out rows: every kind of index, at the cut, and with ties."""

from pathlib import Path

import numpy as np
import pytest

from engine.types import Floats, Hits
from tests import numeric
from tests.workers.index.factories import clustered, labels, merged, pairs, shard, template, unit
from tests.workers.index.on_gpu import needs_gpu
from workers.index.factory import CODES, LISTED
from workers.index.living import Living, selects
from workers.index.part import IndexPart

COUNTS = [25] * 48
EXACT = ["flat", "flatl2", "SQfp16", "IVF16,Flat"]
# At full effort these find the same as an index that never held the deleted rows.
KINDS = [
    *EXACT,
    "IVF16,SQfp16",
    "PQ16x4",
    "IVF16,PQ16x4",
    "RaBitQ",
    "RaBitQfs",
    CODES,
    f"IVF16,{LISTED}",
    "IVF16,PQ16x4,RFlat",
]


@pytest.fixture(scope="module")
def vectors() -> Floats:
    return clustered(sum(COUNTS), 32)


@pytest.fixture(scope="module")
def queries(vectors: Floats) -> Floats:
    noise = np.random.default_rng(1).standard_normal((12, 32))
    return unit((vectors[::100] + 0.05 * noise).astype(np.float32))


def fresh(vectors: Floats, rows: np.ndarray, index: str) -> IndexPart:
    """An index of some rows alone, trained as that of all."""
    numbers, segments = labels(COUNTS)
    return IndexPart.build(template(vectors, index), [vectors[rows]], numbers[rows], segments[rows])


def near(vectors: Floats, queries: Floats, per_query: int) -> np.ndarray:
    """Rows that live when the nearest of every query are deleted, and some at random."""
    alive = np.random.default_rng(2).random(len(vectors)) < 0.9
    for best in np.argsort(-(queries @ vectors.T), axis=1)[:, :per_query]:
        alive[best] = False
    return alive


def same(expected: list[Hits], found: list[Hits]) -> None:
    for one, other in zip(expected, found, strict=True):
        assert pairs(one) == pairs(other)
        np.testing.assert_array_equal(one.scores, other.scores)


@pytest.mark.parametrize("index", KINDS)
@pytest.mark.parametrize("deleted", [1, 40])
def test_deleted_rows_are_as_if_they_had_never_been(
    vectors: Floats, queries: Floats, index: str, deleted: int
) -> None:
    alive = near(vectors, queries, deleted)
    part = shard(vectors, COUNTS, index)
    expected = fresh(vectors, np.flatnonzero(alive), index).search(queries, 20, 16, 100)
    found = part.search(queries, 20, 16, 100, living=Living(alive))
    assert all(len(hits) == 20 for hits in found)
    same(expected, found)


@pytest.mark.parametrize("index", EXACT)
def test_exact_kinds_equal_brute_force(vectors: Floats, queries: Floats, index: str) -> None:
    alive = near(vectors, queries, 30)
    rows = np.flatnonzero(alive)
    numbers, segments = labels(COUNTS)
    half = vectors.astype(np.float16).astype(np.float32) if index == "SQfp16" else vectors
    found = shard(vectors, COUNTS, index).search(queries, 15, nprobe=16, living=Living(alive))
    for query, hits in zip(queries, found, strict=True):
        best = rows[np.argsort(-(half[rows].astype(np.float64) @ query), kind="stable")[:15]]
        assert set(pairs(hits)) == set(zip(numbers[best].tolist(), segments[best].tolist(), strict=True))


@pytest.mark.parametrize(
    ("index", "share"),
    # A graph finds what can be reached: hardly all that lives of very little.
    [("HNSW16", 0.5), ("NSG16", 0.5), (CODES, 0.5), (CODES, 0.02), (f"IVF16,{LISTED}", 0.02)],
)
def test_the_top_k_is_full_and_good_however_much_is_deleted(
    vectors: Floats, queries: Floats, index: str, share: float
) -> None:
    # In random order: a graph of sorted clusters falls apart.
    vectors = np.random.default_rng(6).permutation(vectors)
    alive = np.random.default_rng(3).random(len(vectors)) < share
    rows = np.flatnonzero(alive)
    found = shard(vectors, COUNTS, index).search(queries, 10, nprobe=16, living=Living(alive))
    recalled = 0
    for query, hits in zip(queries, found, strict=True):
        assert len(hits) == min(10, len(rows))
        chosen = hits.videos * 25 + hits.segments
        assert alive[chosen].all()
        recalled += len(set(rows[np.argsort(-(vectors[rows] @ query))[:10]]) & set(chosen.tolist()))
    assert recalled >= 0.85 * 10 * len(queries)


@pytest.mark.parametrize("index", ["flat", "flatl2", "SQfp16", "IVF16,Flat", "RaBitQfs", CODES])
def test_ties_at_the_cut_come_in_order(vectors: Floats, index: str) -> None:
    twins = vectors.copy()
    twins[600:] = vectors[:600]
    alive = np.random.default_rng(4).random(len(twins)) < 0.7
    query = vectors[:3]
    part = shard(twins, COUNTS, index)
    expected = fresh(twins, np.flatnonzero(alive), index)
    for k in range(1, 12):
        same(
            expected.search(query, k, nprobe=16, factor=200),
            part.search(query, k, nprobe=16, factor=200, living=Living(alive)),
        )


def test_many_equals_of_which_most_are_deleted(vectors: Floats) -> None:
    alive = np.zeros(1000, np.bool_)
    alive[500::10] = True
    hits = shard(np.repeat(vectors[:1], 1000, axis=0), [10] * 100).search(
        vectors[:1], 25, living=Living(alive)
    )
    assert pairs(hits[0]) == [(50 + row, 0) for row in range(25)]


@pytest.mark.parametrize("index", ["flat", CODES])
def test_nothing_or_less_than_k_lives(vectors: Floats, queries: Floats, index: str) -> None:
    part = shard(vectors, COUNTS, index)
    alive = np.zeros(len(vectors), np.bool_)
    assert [len(hits) for hits in part.search(queries, 5, living=Living(alive))] == [0] * len(queries)
    alive[[7, 801]] = True
    for hits in part.search(queries, 5, living=Living(alive)):
        assert sorted(pairs(hits)) == [(0, 7), (32, 1)]


def test_many_queries_at_once_have_the_same_bits_as_one(vectors: Floats) -> None:
    wide = clustered(1200, 512)
    alive = np.random.default_rng(5).random(1200) < 0.5
    part = shard(wide, COUNTS)
    many = part.search(wide[:300], 9, living=Living(alive))
    same(
        many,
        [hits for row in range(300) for hits in part.search(wide[row : row + 1], 9, living=Living(alive))],
    )
    same(many, fresh(wide, np.flatnonzero(alive), "flat").search(wide[:300], 9))


def test_kinds_that_take_a_selector(vectors: Floats) -> None:
    kinds = {index: selects(shard(vectors, COUNTS, index).index) for index in [*KINDS, "HNSW16", "NSG16"]}
    assert [index for index, takes in kinds.items() if not takes] == [
        "PQ16x4",
        "RaBitQfs",
        CODES,
        "HNSW16",
        "NSG16",
    ]


@pytest.mark.parametrize("index", ["SQfp16", CODES])
def test_flat_halves_and_refined_codes_score_with_the_same_bits(
    vectors: Floats, queries: Floats, index: str
) -> None:
    small = IndexPart.build(template(vectors, CODES).small(), [vectors], *labels(COUNTS))
    same(
        small.search(queries, 20),
        merged_in(shard(vectors, COUNTS, index).search(queries, 20, factor=100)),
    )


def merged_in(answers: list[Hits]) -> list[Hits]:
    return [merged([hits], 20) for hits in answers]


@needs_gpu
@pytest.mark.parametrize("index", ["flat", "IVF16,Flat", CODES])
def test_a_gpu_leaves_out_the_same_rows(vectors: Floats, queries: Floats, index: str, tmp_path: Path) -> None:
    built = shard(vectors, COUNTS, index)
    built.save(tmp_path)
    on_gpu = IndexPart.open(tmp_path, "gpu")
    for share in (0.9, 0.1):
        alive = np.random.default_rng(8).random(len(vectors)) < share
        expected = built.search(queries, 10, 16, 100, living=Living(alive))
        for one, other in zip(expected, on_gpu.search(queries, 10, 16, living=Living(alive)), strict=True):
            assert alive[other.videos * 25 + other.segments].all()
            numeric.close(other.scores, one.scores, 1e-3, scale=1)
