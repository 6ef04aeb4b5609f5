"""Codes that find candidates and originals that score them."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from engine.errors import Mismatch, NotFound
from engine.types import Floats
from tests import numeric
from tests.workers.index.factories import brute_force, clustered, labels, merged, pairs, shard, shards, unit
from workers.index import files
from workers.index.factory import CODES, LISTED
from workers.index.part import INDEX, ORIGINALS, SEARCH, IndexPart

COUNTS = [25] * 80
LISTS = f"IVF16,{LISTED}"


@pytest.fixture(scope="module")
def vectors() -> Floats:
    return clustered(sum(COUNTS), 64)


@pytest.fixture(scope="module")
def queries(vectors: Floats) -> Floats:
    noise = np.random.default_rng(1).standard_normal((20, 64))
    return unit((vectors[::100] + 0.1 * noise).astype(np.float32))


@pytest.mark.parametrize(("index", "nprobe"), [(CODES, None), (LISTS, 16)])
def test_all_candidates_make_an_exact_search(
    vectors: Floats, queries: Floats, index: str, nprobe: int | None
) -> None:
    half = vectors.astype(np.float16).astype(np.float32)
    answers = shard(vectors, COUNTS, index).search(queries, 50, nprobe, factor=40)
    for query, hits in zip(queries, answers, strict=True):
        assert set(pairs(hits)) == brute_force(half, COUNTS, query, 50)
        exact = half[hits.videos * 25 + hits.segments] @ query
        numeric.close(hits.scores, exact)
        assert (np.diff(hits.scores) <= 0).all()


def test_more_candidates_find_more(vectors: Floats, queries: Floats) -> None:
    index = shard(vectors, COUNTS, CODES)
    truth = [brute_force(vectors, COUNTS, query, 100) for query in queries]
    found = [
        sum(
            len(best & set(pairs(hits)))
            for best, hits in zip(truth, index.search(queries, 100, factor=factor), strict=True)
        )
        for factor in (1, 2, 4, 10)
    ]
    assert found == sorted(found)
    assert found[0] < 0.9 * 2000
    assert found[-1] > 0.99 * 2000


@pytest.mark.parametrize("index", [CODES, LISTS])
@pytest.mark.parametrize("factor", [1, 3])
def test_many_shards_find_all_that_one_finds_with_the_same_bits(
    vectors: Floats, queries: Floats, index: str, factor: int
) -> None:
    """Each shard offers as many candidates as one would alone: more of the nearest are found, never fewer."""
    whole = shard(vectors, COUNTS, index).search(queries, 40, factor=factor)
    parts = [part.search(queries, 40, factor=factor) for part in shards(vectors, COUNTS, index, 8)]
    half = vectors.astype(np.float16).astype(np.float32)
    for number, hits in enumerate(whole):
        joined = merged([answers[number] for answers in parts], 40)
        best = brute_force(half, COUNTS, queries[number], 40)
        assert best & set(pairs(hits)) <= best & set(pairs(joined))
        assert (joined.scores >= hits.scores).all()
        scores = dict(zip(pairs(hits), hits.scores.tolist(), strict=True))
        for pair, score in zip(pairs(joined), joined.scores.tolist(), strict=True):
            assert scores.get(pair, score) == score


@pytest.mark.parametrize(("index", "nprobe"), [(CODES, None), (LISTS, 16)])
def test_one_shard_or_eight_answer_alike_where_recall_is_complete(
    vectors: Floats, queries: Floats, index: str, nprobe: int | None
) -> None:
    twins = vectors.copy()
    twins[1000:] = vectors[:1000]  # ties at every rank, also at the cut
    whole = shard(twins, COUNTS, index).search(queries, 41, nprobe, factor=50)
    parts = [part.search(queries, 41, nprobe, factor=50) for part in shards(twins, COUNTS, index, 8)]
    for number, hits in enumerate(whole):
        joined = merged([answers[number] for answers in parts], 41)
        assert pairs(joined) == pairs(hits)
        np.testing.assert_array_equal(joined.scores, hits.scores)


def test_more_equals_than_candidates_come_in_order(vectors: Floats) -> None:
    same = np.repeat(vectors[:1], 2000, axis=0)
    hits = shard(same, COUNTS, CODES).search(vectors[:1], 25, factor=2)[0]
    assert pairs(hits) == [(row // 25, row % 25) for row in range(25)]


def test_asking_for_more_than_there_is(vectors: Floats, queries: Floats) -> None:
    for hits in shard(vectors, COUNTS, CODES).search(queries, 5000):
        assert len(set(pairs(hits))) == len(hits) == 2000
    for hits in shard(vectors, COUNTS, LISTS).search(queries, 5000, nprobe=1):
        assert len(set(pairs(hits))) == len(hits) < 2000


@pytest.mark.parametrize("index", [CODES, LISTS])
def test_neighbouring_queries_do_not_change_an_answer(vectors: Floats, queries: Floats, index: str) -> None:
    built = shard(vectors, COUNTS, index)
    for query, hits in zip(queries, built.search(queries, 30), strict=True):
        alone = built.search(query[None], 30)[0]
        assert pairs(alone) == pairs(hits)
        np.testing.assert_array_equal(alone.scores, hits.scores)


@pytest.mark.parametrize("index", [CODES, LISTS])
def test_a_saved_shard_answers_alike_and_keeps_its_effort(
    tmp_path: Path, vectors: Floats, queries: Floats, index: str
) -> None:
    built = shard(vectors, COUNTS, index)
    built.save(tmp_path)
    for factor in (10, 3):
        effort = {**json.loads((tmp_path / SEARCH).read_text()), "factor": factor}
        (tmp_path / SEARCH).write_text(json.dumps(effort))
        opened = IndexPart.open(tmp_path, "cpu")
        assert opened.effort.factor == factor
        assert opened.partitions == built.partitions
        expected = built.search(queries, 40, factor=factor)
        for one, other in zip(expected, opened.search(queries, 40), strict=True):
            assert pairs(one) == pairs(other)
            np.testing.assert_array_equal(one.scores, other.scores)


def resident(kind: str) -> int:
    status = Path("/proc/self/status").read_text()
    return int(re.findall(rf"{kind}:\s+(\d+) kB", status)[0]) * 1024


def test_opening_maps_the_originals_and_reads_none(tmp_path: Path) -> None:
    noise = unit(np.random.default_rng(0).standard_normal((20_000, 512)).astype(np.float32))
    shard(noise, [20_000], CODES).save(tmp_path)
    before = resident("RssAnon") + resident("RssFile")
    opened = IndexPart.open(tmp_path, "cpu")
    grown = resident("RssAnon") + resident("RssFile") - before
    size = (tmp_path / ORIGINALS).stat().st_size
    assert grown < size / 4
    before = resident("RssAnon")
    opened.search(noise[:1], 5000, factor=4)
    assert resident("RssAnon") - before < size / 4


@pytest.mark.parametrize("name", [INDEX, ORIGINALS])
def test_missing_or_cut_off_files_are_refused_by_name(tmp_path: Path, vectors: Floats, name: str) -> None:
    shard(vectors, COUNTS, CODES).save(tmp_path)
    content = (tmp_path / name).read_bytes()
    for length in (40, len(content) // 2, len(content) - 1):
        (tmp_path / name).write_bytes(content[:length])
        with pytest.raises(Mismatch, match=tmp_path.name):
            IndexPart.open(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(NotFound, match=name):
        IndexPart.open(tmp_path)


def test_originals_of_another_shard_are_refused(tmp_path: Path, vectors: Floats) -> None:
    shard(vectors, COUNTS, CODES).save(tmp_path / "one")
    shard(vectors[:500], COUNTS[:20], CODES).save(tmp_path / "other")
    (tmp_path / "other" / ORIGINALS).replace(tmp_path / "one" / ORIGINALS)
    with pytest.raises(Mismatch, match="500"):
        IndexPart.open(tmp_path / "one")


def test_originals_are_read_before_the_first_search(
    tmp_path: Path, vectors: Floats, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    shard(vectors, COUNTS).save(tmp_path / "flat" / "index")
    files.warm_originals(tmp_path / "flat" / "index")
    assert not caplog.records
    shard(vectors, COUNTS, CODES).save(tmp_path / "codes" / "index")
    files.warm_originals(tmp_path / "codes" / "index")
    (record,) = caplog.records
    size = (tmp_path / "codes" / "index" / ORIGINALS).stat().st_size
    assert record.getMessage() == "the originals of codes are in memory"
    assert record.__dict__["bytes"] == size


@pytest.mark.parametrize("dim", [8, 20, 63, 100])
def test_any_width_has_codes(dim: int) -> None:
    vectors = clustered(1000, dim)
    hits = shard(vectors, [10] * 100, CODES).search(vectors[:5], 5)
    assert [pairs(found)[0] for found in hits] == [pair for pair in zip(*labels([5]), strict=True)]
