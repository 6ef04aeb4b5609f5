from pathlib import Path

import numpy as np
import pytest

from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable
from engine.types import Floats
from tests import numeric
from tests.workers.index.factories import (
    brute_force,
    clustered,
    labels,
    merged,
    pairs,
    shard,
    shards,
    template,
    unit,
)
from tests.workers.index.on_gpu import needs_gpu
from workers.index import gpu
from workers.index.part import INDEX, OFFSETS, VIDEOS, IndexPart

GOLDEN = Path(__file__).parents[2] / "golden" / "segments.npz"
COUNTS = [25] * 48


@pytest.fixture(scope="module")
def vectors() -> Floats:
    return clustered(sum(COUNTS), 32)


@pytest.fixture(scope="module")
def queries(vectors: Floats) -> Floats:
    noise = np.random.default_rng(1).standard_normal((20, 32))
    return unit((vectors[::60] + 0.05 * noise).astype(np.float32))


@pytest.mark.parametrize(
    ("index", "expected", "nprobe"),
    [("flat", "flat", None), ("flatl2", "flatl2", None), ("IVF16,Flat", "ivfflat", 16)],
)
def test_exact_searches_equal_the_published_ones(index: str, expected: str, nprobe: int | None) -> None:
    with np.load(GOLDEN) as golden:
        features, counts = unit(golden["features"]), golden["counts"].tolist()
        wanted, queries = golden[expected], unit(golden["queries"])
    videos, segments = labels(counts)
    answers = shard(features, counts, index).search(queries, 50, nprobe)
    for rows, hits in zip(wanted, answers, strict=True):
        np.testing.assert_array_equal(hits.videos, videos[rows])
        np.testing.assert_array_equal(hits.segments, segments[rows])


@pytest.mark.parametrize(
    ("index", "floor"),
    [
        ("flat", 1.0),
        ("flatl2", 1.0),
        ("ivfflat", 0.95),
        ("ivfpq", 0.6),
        ("SQfp16", 0.99),
        ("HNSW16", 0.9),
        ("PCA32,IVF16,PQ16,RFlat", 0.9),
        ("RaBitQfs,Refine(SQfp16)", 0.9),
    ],
)
def test_recall_against_brute_force(vectors: Floats, queries: Floats, index: str, floor: float) -> None:
    answers = shard(vectors, COUNTS, index).search(queries, 10)
    found = [
        len(brute_force(vectors, COUNTS, q, 10) & set(pairs(h)))
        for q, h in zip(queries, answers, strict=True)
    ]
    assert np.mean(found) / 10 >= floor


@pytest.mark.parametrize("index", ["flat", "flatl2", "ivfflat", "SQfp16"])
def test_scores_are_inner_products_best_first(vectors: Floats, queries: Floats, index: str) -> None:
    videos, segments = labels(COUNTS)
    rows = {pair: row for row, pair in enumerate(zip(videos.tolist(), segments.tolist(), strict=True))}
    for query, hits in zip(queries, shard(vectors, COUNTS, index).search(queries, 30), strict=True):
        exact = vectors[[rows[pair] for pair in pairs(hits)]] @ query
        numeric.close(hits.scores, exact, 1e-3, scale=1)
        assert (np.diff(hits.scores) <= 0).all()
        assert [column.dtype.name for column in (hits.videos, hits.segments)] == ["int32", "int32"]
        assert hits.scores.dtype.name == "float32"


@pytest.mark.parametrize("n", [3, 8])
@pytest.mark.parametrize("index", ["flat", "flatl2", "ivfflat", "ivfpq"])
def test_one_shard_or_many_give_the_same_bits(vectors: Floats, queries: Floats, index: str, n: int) -> None:
    twins = vectors.copy()
    twins[600:] = vectors[:600]  # every score twice: ties at every rank, also at the cut
    whole = shard(twins, COUNTS, index).search(queries, 21)
    parts = [part.search(queries, 21) for part in shards(twins, COUNTS, index, n)]
    for query, hits in enumerate(whole):
        joined = merged([answers[query] for answers in parts], 21)
        assert pairs(joined) == pairs(hits)
        np.testing.assert_array_equal(joined.scores, hits.scores)


def test_many_equals_at_the_cut_come_in_order(vectors: Floats) -> None:
    same = np.repeat(vectors[:1], 1000, axis=0)
    hits = shard(same, [10] * 100).search(vectors[:1], 25)[0]
    assert pairs(hits) == [(row // 10, row % 10) for row in range(25)]


def test_neighbouring_queries_do_not_change_a_score(vectors: Floats) -> None:
    index = shard(clustered(300, 1024), [3] * 100)
    many = clustered(200, 1024, seed=5)
    for query, hits in zip(many, index.search(many, 7), strict=True):
        np.testing.assert_array_equal(index.search(query[None], 7)[0].scores, hits.scores)


def test_queries_are_left_as_they_were(vectors: Floats) -> None:
    queries = np.asfortranarray(3 * vectors[:7])
    before = queries.copy()
    shard(vectors, COUNTS).search(queries, 5)
    np.testing.assert_array_equal(queries, before)


def test_too_few_candidates_make_a_short_answer(vectors: Floats, queries: Floats) -> None:
    index = shard(vectors, COUNTS, "IVF30,Flat")
    assert index.partitions == 30
    lengths = [len(hits) for hits in index.search(queries, 500, nprobe=1)]
    assert max(lengths) < 500
    for hits in index.search(queries, 500, nprobe=1):
        assert len(set(pairs(hits))) == len(hits)
    assert [len(hits) for hits in index.search(queries, 5000, nprobe=10_000)] == [1200] * len(queries)


def test_nprobe_reaches_nested_lists(vectors: Floats, queries: Floats) -> None:
    index = shard(vectors, COUNTS, "PCA16,IVF30,PQ16,RFlat")
    one, all_lists = (
        sum(len(hits) for hits in index.search(queries, 1000, nprobe=nprobe)) for nprobe in (1, 30)
    )
    assert one < all_lists == 1000 * len(queries)


@pytest.mark.parametrize("index", ["flat", "flatl2", "ivfflat", "ivfpq", "PCA16,IVF16,PQ16,RFlat", "HNSW16"])
def test_a_saved_shard_answers_alike(tmp_path: Path, vectors: Floats, queries: Floats, index: str) -> None:
    built = shard(vectors, COUNTS, index)
    built.save(tmp_path)
    opened = IndexPart.open(tmp_path, device="cpu")
    assert (len(opened), opened.dim, opened.device) == (1200, 32, "cpu")
    for expected, found in zip(built.search(queries, 40), opened.search(queries, 40), strict=True):
        assert pairs(expected) == pairs(found)
        np.testing.assert_array_equal(expected.scores, found.scores)


def test_shards_of_a_template_share_its_quantizer(vectors: Floats) -> None:
    assert template(vectors, "ivfflat").sha256 == template(vectors, "ivfflat").sha256
    assert template(vectors, "ivfflat").sha256 != template(vectors[:900], "ivfflat").sha256


@pytest.mark.parametrize("name", [INDEX, VIDEOS, OFFSETS])
def test_a_missing_or_damaged_file_is_refused_by_name(tmp_path: Path, vectors: Floats, name: str) -> None:
    shard(vectors, COUNTS).save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:40])
    with pytest.raises(Mismatch, match=tmp_path.name):
        IndexPart.open(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(NotFound, match=name):
        IndexPart.open(tmp_path)


def test_tables_of_another_shard_are_refused(tmp_path: Path, vectors: Floats) -> None:
    shard(vectors, COUNTS).save(tmp_path)
    np.save(tmp_path / VIDEOS, np.zeros(7, np.int32))
    with pytest.raises(Mismatch, match="1200"):
        IndexPart.open(tmp_path)


@pytest.mark.parametrize("index", ["Nope", "IVF4", "IVF4,PQ7", "IDMap,Flat", "LSH", "PQ5"])
def test_nonsense_factories_are_refused_in_a_sentence(vectors: Floats, index: str) -> None:
    with pytest.raises(InvalidInput, match=index) as caught:
        template(vectors, index)
    assert "cpp" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_too_few_segments_to_train_are_named(vectors: Floats) -> None:
    with pytest.raises(InvalidInput, match="100 segments"):
        template(vectors[:100], "PQ16x8")


@pytest.mark.parametrize(
    ("queries", "k", "nprobe", "reason"),
    [
        (np.zeros((2, 31), np.float32), 5, None, "TENSOR_SIZE_MISMATCH"),
        (np.zeros(32, np.float32), 5, None, "TENSOR_SIZE_MISMATCH"),
        (np.full((1, 32), np.nan, np.float32), 5, None, "BAD_PARAMETER"),
        (np.zeros((1, 32), np.float32), 0, None, "BAD_PARAMETER"),
        (np.zeros((1, 32), np.float32), 5, 0, "BAD_PARAMETER"),
    ],
)
def test_wrong_questions_are_refused(
    vectors: Floats, queries: Floats, k: int, nprobe: int | None, reason: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        shard(vectors, COUNTS).search(queries, k, nprobe)
    assert caught.value.reason == reason


def test_no_queries_have_no_answers(vectors: Floats) -> None:
    assert shard(vectors, COUNTS).search(np.zeros((0, 32), np.float32), 5) == []


@pytest.mark.skipif(gpu.available(), reason="a GPU is there")
def test_a_gpu_that_is_not_there_is_only_missed_when_asked_for(tmp_path: Path, vectors: Floats) -> None:
    shard(vectors, COUNTS).save(tmp_path)
    assert IndexPart.open(tmp_path, device="auto").device == "cpu"
    with pytest.raises(Unavailable, match="faiss-gpu"):
        IndexPart.open(tmp_path, device="gpu")
    with pytest.raises(InvalidInput, match="tpu"):
        IndexPart.open(tmp_path, device="tpu")


@needs_gpu
def test_the_gpu_answers_as_the_cpu(tmp_path: Path, vectors: Floats, queries: Floats) -> None:
    built = shard(vectors, COUNTS, "ivfflat")
    built.save(tmp_path)
    on_gpu = IndexPart.open(tmp_path, device="gpu")
    assert on_gpu.device == "gpu"
    for k, nprobe in ((10, None), (10, 4), (1200, 30)):
        for expected, found in zip(
            built.search(queries, k, nprobe), on_gpu.search(queries, k, nprobe), strict=True
        ):
            numeric.close(found.scores, expected.scores)
