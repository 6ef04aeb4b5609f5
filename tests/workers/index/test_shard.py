"""A shard of a version, as parts, against one fresh flat index of what lives."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from engine import wire_filter
from engine.corpus import open_corpus
from engine.entries import PartEntry
from engine.errors import Mismatch, NotFound, Unavailable
from engine.filters import Allowed, Stretch
from engine.types import Floats, Hits
from tests.workers.index.corpora import Videos, commit, file_of, maps_of, rows_of, videos, without, write_part
from tests.workers.index.factories import pairs, template, unit
from workers.index import shard as shards
from workers.index.factory import CODES
from workers.index.part import INDEX, ORIGINALS, IndexPart
from workers.index.shard import Shard, ShardOpener

SHARD = "shard-00000"
CORPUS = videos(60, seed=3)
QUERIES = unit(np.random.default_rng(7).standard_normal((15, 32)).astype(np.float32))


def dealt(chosen: Videos, count: int) -> list[dict[str, Floats]]:
    names = list(chosen)
    return [{name: chosen[name] for name in names[part::count]} for part in range(count)]


def fresh(chosen: Videos, index: str = "flat") -> IndexPart:
    vectors, numbers, segments = rows_of(chosen)
    return IndexPart.build(template(rows_of(CORPUS)[0], index), [vectors], numbers, segments)


def same(expected: Sequence[Hits], found: Sequence[Hits]) -> None:
    for one, other in zip(expected, found, strict=True):
        assert pairs(one) == pairs(other)
        np.testing.assert_array_equal(one.scores, other.scores)


def written(collection: Path, parts: Sequence[Videos], index: str = "flat") -> list[PartEntry]:
    """Parts: the first from the trained template, the others small ones."""
    trained = template(rows_of(CORPUS)[0], index)
    return [
        write_part(collection, one, trained.small() if n else trained, trained) for n, one in enumerate(parts)
    ]


def version(collection: Path, entries: Sequence[PartEntry], index: str = "flat") -> Shard:
    commit(collection, [entries], template(rows_of(CORPUS)[0], index))
    return ShardOpener(SHARD, "cpu")(open_corpus(collection))


@pytest.mark.parametrize("index", ["flat", "flatl2", "SQfp16", "IVF4,Flat"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_parts_and_deletions_answer_with_the_bits_of_one_fresh_index(
    tmp_path: Path, index: str, count: int
) -> None:
    gone = list(CORPUS)[::4]
    entries = [without(tmp_path, entry, gone) for entry in written(tmp_path, dealt(CORPUS, count), index)]
    living = {name: vectors for name, vectors in CORPUS.items() if name not in gone}
    expected = fresh(living, index)
    found = version(tmp_path, entries, index)
    for k in (1, 5, 40, 1000):
        same(expected.search(QUERIES, k, nprobe=4), found.search(QUERIES, k, nprobe=4))


def test_ties_across_parts_are_in_the_order_of_ids_at_every_cut(tmp_path: Path) -> None:
    vectors = list(CORPUS.values())[:3]
    equals = {f"v{number:02d}": vectors[number % 3] for number in range(20)}
    entries = written(tmp_path, dealt(equals, 5))
    gone = ["v00", "v07", "v13", "v19"]
    found = version(tmp_path, [without(tmp_path, entry, gone) for entry in entries])
    expected = fresh({name: equals[name] for name in equals if name not in gone})
    query = np.concatenate([one[:1] for one in vectors])
    for k in range(1, 25):
        same(expected.search(query, k), found.search(query, k))


def test_a_large_part_of_codes_and_small_exact_ones_answer_as_half_precision_does(tmp_path: Path) -> None:
    corpus = videos(400, seed=5)
    entries = written(tmp_path, dealt(corpus, 4), CODES)
    gone = list(corpus)[::7]
    found = version(tmp_path, [without(tmp_path, entry, gone) for entry in entries], CODES)
    living = {name: vectors for name, vectors in corpus.items() if name not in gone}
    assert [part.open.index.effort.factor > 0 for part in found.parts].count(True) == 1
    same(fresh(living, "SQfp16").search(QUERIES, 10), found.search(QUERIES, 10))


def test_all_deleted_and_none_at_all(tmp_path: Path) -> None:
    (entry,) = written(tmp_path, [CORPUS])
    assert [
        len(hits) for hits in version(tmp_path, [without(tmp_path, entry, list(CORPUS))]).search(QUERIES, 5)
    ] == [0] * len(QUERIES)
    assert [len(hits) for hits in version(tmp_path, []).search(QUERIES, 5)] == [0] * len(QUERIES)


def test_versions_share_the_parts_they_have_in_common(tmp_path: Path) -> None:
    first, second, third = written(tmp_path, dealt(CORPUS, 3))
    trained = template(rows_of(CORPUS)[0], "flat")
    opener = ShardOpener(SHARD, "cpu")
    commit(tmp_path, [[first, second]], trained)
    one = opener(open_corpus(tmp_path))
    commit(tmp_path, [[without(tmp_path, first, list(CORPUS)[:9]), third]], trained)
    other = opener(open_corpus(tmp_path))
    assert other.parts[0].open is one.parts[0].open
    assert maps_of(tmp_path, first) == 1
    assert (maps_of(tmp_path, second), maps_of(tmp_path, third)) == (1, 1)
    del one
    assert (maps_of(tmp_path, second), maps_of(tmp_path, first)) == (0, 1)
    del other
    assert (maps_of(tmp_path, third), maps_of(tmp_path, first)) == (0, 0)


def test_memory_for_all_new_parts_together_is_checked_before_any_is_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = written(tmp_path, dealt(CORPUS, 3))
    trained = template(rows_of(CORPUS)[0], "flat")
    opener = ShardOpener(SHARD, "cpu")
    commit(tmp_path, [entries[:1]], trained)
    kept = opener(open_corpus(tmp_path))
    commit(tmp_path, [entries], trained)
    sizes = [file_of(tmp_path, INDEX, number).stat().st_size for number in range(3)]
    monkeypatch.setattr(shards, "available_bytes", lambda: sizes[1] + sizes[2] - 1)
    with pytest.raises(Unavailable, match=INDEX) as caught:
        opener(open_corpus(tmp_path))
    assert caught.value.reason == "NO_MEMORY"
    assert [maps_of(tmp_path, entry) for entry in entries] == [1, 0, 0]
    monkeypatch.setattr(shards, "available_bytes", lambda: sizes[1] + sizes[2])
    assert len(opener(open_corpus(tmp_path)).parts) == 3
    assert len(kept.parts) == 1


def test_codes_must_fit_into_memory_and_originals_need_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path, [written(tmp_path, [CORPUS], CODES)], template(rows_of(CORPUS)[0], CODES))
    size = file_of(tmp_path, INDEX).stat().st_size
    monkeypatch.setattr(shards, "available_bytes", lambda: size)
    ShardOpener(SHARD, "cpu")(open_corpus(tmp_path))
    monkeypatch.setattr(shards, "available_bytes", lambda: size - 1)
    with pytest.raises(Unavailable, match=INDEX):
        ShardOpener(SHARD, "cpu")(open_corpus(tmp_path))


def test_codes_of_another_format_are_made_again_from_their_originals(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = template(rows_of(CORPUS)[0], CODES)
    before = version(tmp_path / "old", written(tmp_path / "old", [CORPUS], CODES), CODES).search(QUERIES, 9)
    monkeypatch.setattr(IndexPart, "save", with_another_format(IndexPart.save))
    commit(tmp_path, [[write_part(tmp_path, CORPUS, trained, trained)]], trained)
    assert file_of(tmp_path, INDEX).read_bytes()[:4] == b"Zzzz"
    found = ShardOpener(SHARD, "cpu")(open_corpus(tmp_path))
    same(before, found.search(QUERIES, 9))
    assert "is made again in memory from its originals: FAISS" in caplog.text
    file_of(tmp_path, ORIGINALS).unlink()
    with pytest.raises(Mismatch, match=ORIGINALS):
        ShardOpener(SHARD, "cpu")(open_corpus(tmp_path))


def test_codes_of_another_format_without_a_template_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = template(rows_of(CORPUS)[0], CODES)
    monkeypatch.setattr(IndexPart, "save", with_another_format(IndexPart.save))
    commit(tmp_path, [[write_part(tmp_path, CORPUS, trained, trained)]], trained)
    (tmp_path / "quantizers" / f"{trained.sha256[:16]}.faiss").write_bytes(b"damaged")
    with pytest.raises(Mismatch, match=r"cannot be read .*run `spr build`"):
        ShardOpener(SHARD, "cpu")(open_corpus(tmp_path))


def with_another_format(save: Callable[[IndexPart, Path], None]) -> Callable[[IndexPart, Path], None]:
    def saved(part: IndexPart, directory: Path) -> None:
        save(part, directory)
        with (directory / INDEX).open("r+b") as file:
            file.write(b"Zzzz")

    return saved


def test_damage_is_refused_when_opened_and_healed_where_originals_are_sound(tmp_path: Path) -> None:
    before = version(tmp_path, written(tmp_path, [CORPUS], CODES), CODES).search(QUERIES, 9)
    path = file_of(tmp_path, INDEX)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(Mismatch, match=INDEX):
        ShardOpener(SHARD, "cpu")(open_corpus(tmp_path))
    same(before, ShardOpener(SHARD, "cpu")(open_corpus(tmp_path), True).search(QUERIES, 9))
    path.unlink()
    same(before, ShardOpener(SHARD, "cpu")(open_corpus(tmp_path), True).search(QUERIES, 9))
    originals = file_of(tmp_path, ORIGINALS)
    originals.write_bytes(originals.read_bytes()[::-1])
    with pytest.raises(Mismatch, match=ORIGINALS):
        ShardOpener(SHARD, "cpu")(open_corpus(tmp_path), True)


def test_a_shard_the_version_has_not_is_refused(tmp_path: Path) -> None:
    commit(tmp_path, [written(tmp_path, [CORPUS])], template(rows_of(CORPUS)[0], "flat"))
    with pytest.raises(NotFound, match="has no shard-00007, only shard-00000") as caught:
        ShardOpener("shard-00007", "cpu")(open_corpus(tmp_path))
    assert caught.value.reason == "SHARD_NOT_FOUND"


@pytest.mark.parametrize("stretch", [Stretch(), Stretch(6.0, 13.0), Stretch(0.5, 1.0, shares=True)])
def test_a_filter_answers_as_a_fresh_index_of_what_it_lets_through(tmp_path: Path, stretch: Stretch) -> None:
    gone = list(CORPUS)[::4]
    entries = [without(tmp_path, entry, gone) for entry in written(tmp_path, dealt(CORPUS, 3))]
    found = version(tmp_path, entries)
    catalogue = open_corpus(tmp_path).catalogue
    ordinals = np.arange(len(catalogue), dtype=np.int32)
    for share in (0.9, 0.2, 0.05):
        mask = np.random.default_rng(1).random(len(catalogue)) < share
        told = wire_filter.allowed_to_pb(Allowed(mask, int(mask.sum()), stretch), ordinals)
        assert told is not None
        expected = {}
        for ordinal in np.flatnonzero(mask):
            vectors, duration = CORPUS[catalogue.ids[ordinal]], catalogue.durations[ordinal]
            scale = duration if stretch.shares else 1.0
            ends = [min(4.0 * (s + 1), duration) for s in range(len(vectors))]
            for s, (vector, end) in enumerate(zip(vectors, ends, strict=True)):
                if max(4.0 * s, stretch.start * scale) < min(end, stretch.end * scale):
                    expected[int(ordinal), s] = vector
        rows = sorted(expected)
        scores = fresh(CORPUS)
        for query, hits in zip(QUERIES, found.search(QUERIES, 30, allowed=told), strict=True):
            values = np.array([expected[row] for row in rows]) @ query
            assert pairs(hits) == [rows[row] for row in np.argsort(-values, kind="stable")[:30]]
            every = scores.search(query[None], 1000)[0]
            assert set(hits.scores.tolist()) <= set(every.scores.tolist())
