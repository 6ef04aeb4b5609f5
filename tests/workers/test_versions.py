"""Versions that a worker holds, with the index worker's shards as what is held."""

import contextlib
import gc
import shutil
import threading
from pathlib import Path

import pytest

from engine import version_lock, versions
from engine.corpus import Corpus, open_corpus
from engine.errors import Mismatch, NotFound
from tests.workers.holding import NAMES, QUERIES, TRAINED, answers, entries, holding, made, same
from tests.workers.index.corpora import commit, file_of, maps_of, without
from workers.directories import directory_of
from workers.index.factory import CODES
from workers.index.part import INDEX
from workers.index.shard import Shard, ShardOpener
from workers.versions import Held


def test_several_versions_of_several_collections_answer_side_by_side(tmp_path: Path) -> None:
    one, other = entries(tmp_path / "one"), entries(tmp_path / "other", CODES)
    first, there = made(tmp_path / "one", one[:2]), made(tmp_path / "other", other, CODES, name="second")
    held = holding(tmp_path / "one", tmp_path / "other")
    second = made(tmp_path / "one", [without(tmp_path / "one", one[0], NAMES[:5]), *one[1:]])
    before = answers(held, first), answers(held, there)
    prepared = held.prepare("", second.id)
    assert (prepared.opened, prepared.shared) == (1, 2)
    assert prepared.elapsed > 0
    assert held.prepare("tiny", second.id).elapsed == 0
    assert (answers(held, first), answers(held, there)) == before
    assert answers(held, second) != before[0]
    listed = {about.version: about for about in held.listing()}
    assert set(listed) == {first.id, second.id, there.id}
    assert listed[second.id].collection == "tiny"
    assert (listed[second.id].videos, listed[second.id].parts) == (35, 3)
    assert {about.fault for about in listed.values()} == {""}


def test_the_first_collection_may_have_fewer_shards_than_another(tmp_path: Path) -> None:
    made(tmp_path / "one", entries(tmp_path / "one"))
    listed = entries(tmp_path / "other")
    wide = commit(tmp_path / "other", [listed[:2], listed[2:]], TRAINED["flat"], name="second")
    held = Held([tmp_path / "one", tmp_path / "other"], ShardOpener("shard-00001", "cpu"))
    held.prepare_current()
    assert [about.version for about in held.listing()] == [wide.id]
    with pytest.raises(NotFound, match="has no shard-00002"):
        Held([tmp_path / "one", tmp_path / "other"], ShardOpener("shard-00002", "cpu")).prepare_current()


def test_a_version_from_before_a_collection_was_renamed_is_found(tmp_path: Path) -> None:
    one, other = entries(tmp_path / "one"), entries(tmp_path / "other")
    made(tmp_path / "one", one)
    former = made(tmp_path / "other", other[:1])
    made(tmp_path / "other", other, name="second")
    held = holding(tmp_path / "one", tmp_path / "other")
    # The first one has that name, and not the version.
    held.prepare("tiny", former.id)
    assert [about.videos for about in held.listing() if about.version == former.id] == [former.videos]


def test_a_version_that_a_renamed_copy_has_as_well_is_taken_from_the_original(tmp_path: Path) -> None:
    one, copy = tmp_path / "one", tmp_path / "copy"
    listed = entries(one)[:1]
    version = made(one, listed)
    shutil.copytree(one, copy)
    made(copy, listed, name="second")
    assert directory_of([copy, one], "tiny", version.id) == one
    assert directory_of([copy], "tiny", version.id) == copy


def test_opening_leaves_the_garbage_collector_on(tmp_path: Path) -> None:
    made(tmp_path, entries(tmp_path)[:1])
    for version in ("", "00000007-no"):
        with contextlib.suppress(NotFound):
            open_corpus(tmp_path, version)
        assert gc.isenabled()


def test_a_version_that_is_not_held_is_named(tmp_path: Path) -> None:
    listed = entries(tmp_path)
    first, second = made(tmp_path, listed[:1]), made(tmp_path, listed)
    held = holding(tmp_path)
    with pytest.raises(Mismatch, match=f"asks version '{first.id}', this worker holds {second.id}") as caught:
        held.get(first.id)
    assert caught.value.reason == "GENERATION_MISMATCH"


def test_a_dropped_version_ends_with_the_calls_that_have_it(tmp_path: Path) -> None:
    listed = entries(tmp_path)
    first = made(tmp_path, listed[:2])
    held = holding(tmp_path)
    second = made(tmp_path, listed[1:])
    held.prepare("tiny", second.id)
    in_flight = held.get(first.id)
    expected = in_flight.search(QUERIES, 5)
    for _ in range(2):
        held.drop(first.id)
    same(expected, in_flight.search(QUERIES, 5))
    assert [maps_of(tmp_path, entry) for entry in listed] == [1, 1, 1]
    del in_flight
    assert [maps_of(tmp_path, entry) for entry in listed] == [0, 1, 1]
    with pytest.raises(Mismatch):
        held.get(first.id)


def test_a_held_version_is_locked_against_removal(tmp_path: Path) -> None:
    version = made(tmp_path, entries(tmp_path))
    held = holding(tmp_path)
    with version_lock.locked_for_removal(tmp_path, version.id) as taken:
        assert not taken
    held.drop(version.id)
    with version_lock.locked_for_removal(tmp_path, version.id) as taken:
        assert taken


def test_a_version_that_cannot_be_opened_is_not_held_and_not_locked(tmp_path: Path) -> None:
    listed = entries(tmp_path)
    first = made(tmp_path, listed[:1])
    held = holding(tmp_path)
    second = made(tmp_path, listed)
    path = file_of(tmp_path, INDEX, 1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Mismatch, match=INDEX):
        held.prepare("", second.id)
    with pytest.raises(NotFound):
        held.prepare("", "00000009-0123456789ab")
    with pytest.raises(NotFound, match="no collection 'nope', only tiny"):
        held.prepare("nope", second.id)
    assert [about.version for about in held.listing()] == [first.id]
    with version_lock.locked_for_removal(tmp_path, second.id) as taken:
        assert taken


def test_the_first_collection_must_have_a_version_and_others_may(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = made(tmp_path / "one", entries(tmp_path / "one"))
    (tmp_path / "empty").mkdir()
    held = holding(tmp_path / "one", tmp_path / "empty")
    assert [about.version for about in held.listing()] == [version.id]
    assert "has no active version" in caplog.text
    with pytest.raises(NotFound, match="has no active version"):
        holding(tmp_path / "empty", tmp_path / "one")


def test_searches_go_on_while_a_version_is_prepared(tmp_path: Path) -> None:
    listed = entries(tmp_path)
    first = made(tmp_path, listed[:2])
    opener, opening, go_on = ShardOpener("shard-00000", "cpu"), threading.Event(), threading.Event()

    def open_version(corpus: Corpus, healing: bool) -> Shard:
        if corpus.id != first.id:
            opening.set()
            assert go_on.wait(60)
        return opener(corpus, healing)

    held = Held([tmp_path], open_version)
    held.prepare_current()
    second = made(tmp_path, listed)
    preparing = threading.Thread(target=held.prepare, args=("", second.id))
    preparing.start()
    assert opening.wait(60)
    answers(held, first)
    assert [about.version for about in held.listing()] == [first.id]
    go_on.set()
    preparing.join()
    answers(held, second)
    assert versions.current(tmp_path) == second.id
