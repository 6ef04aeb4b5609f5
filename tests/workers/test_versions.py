"""Versions that a worker holds, with the index worker's shards as what is held."""

import os
import shutil
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from engine import version_lock, versions
from engine.corpus import Corpus
from engine.entries import PartEntry, Version
from engine.errors import Mismatch, NotFound, Unavailable
from engine.types import Floats, Hits
from tests.workers.index.corpora import commit, file_of, maps_of, rows_of, videos, without, write_part
from tests.workers.index.factories import pairs, template
from workers.index.factory import CODES
from workers.index.part import INDEX, ORIGINALS
from workers.index.shard import Shard, ShardOpener
from workers.versions import Held

CORPUS = videos(40)
NAMES = list(CORPUS)
TRAINED = {index: template(rows_of(CORPUS)[0], index) for index in ("flat", CODES)}
QUERIES: Floats = rows_of(CORPUS)[0][::9]


def entries(collection: Path, index: str = "flat") -> list[PartEntry]:
    trained = TRAINED[index]
    shares = (NAMES[:20], NAMES[20:30], NAMES[30:])
    return [write_part(collection, {one: CORPUS[one] for one in share}, trained, trained) for share in shares]


def made(collection: Path, listed: Sequence[PartEntry], index: str = "flat", name: str = "tiny") -> Version:
    return commit(collection, [listed], TRAINED[index], name=name)


def holding(*collections: Path) -> Held[Shard]:
    held = Held(collections, ShardOpener("shard-00000", "cpu"))
    held.prepare_current()
    return held


def answers(held: Held[Shard], version: Version) -> list[list[tuple[int, int]]]:
    return [pairs(hits) for hits in held.get(version.id).search(QUERIES, 5)]


def same(expected: Sequence[Hits], found: Sequence[Hits]) -> None:
    for one, other in zip(expected, found, strict=True):
        assert pairs(one) == pairs(other)
        np.testing.assert_array_equal(one.scores, other.scores)


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


def test_damage_takes_out_the_versions_that_list_the_part_and_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    listed = entries(tmp_path)
    sick, well = made(tmp_path, listed[:2]), made(tmp_path, listed[1:])
    held = holding(tmp_path)
    held.prepare("", sick.id)
    expected = answers(held, sick)
    path = tmp_path / "parts" / listed[0].id / "index" / INDEX
    content = path.read_bytes()
    path.chmod(0o644)
    path.write_bytes(content[:-1] + b"?")
    with pytest.raises(Mismatch, match=rf"{INDEX} was changed") as caught:
        answers(held, sick)
    assert caught.value.reason == "GENERATION_CORRUPT"
    answers(held, well)
    for _ in range(3):
        held.look()
    assert {about.version: bool(about.fault) for about in held.listing()} == {sick.id: True, well.id: False}
    assert held.sound
    out = [record for record in caplog.records if record.getMessage().startswith("version out of service")]
    assert [record.__dict__["version"] for record in out] == [sick.id]
    path.write_bytes(content)
    held.look()
    assert {about.fault for about in held.listing()} == {""}
    assert answers(held, sick) == expected
    assert held.get(sick.id).parts[1].open is held.get(well.id).parts[0].open


@pytest.mark.parametrize("restored", ["in place", "by name"])
def test_a_cut_file_is_never_read_and_heals_when_it_is_restored(tmp_path: Path, restored: str) -> None:
    version = made(tmp_path, entries(tmp_path))
    held = holding(tmp_path)
    expected = answers(held, version)
    path = file_of(tmp_path, INDEX)
    shutil.copy(path, tmp_path / "copy")
    os.truncate(path, 10)  # the map behind the end now kills whoever reads it
    with pytest.raises(Mismatch, match=INDEX):
        answers(held, version)
    held.look()
    assert not held.sound
    if restored == "in place":
        shutil.copyfile(tmp_path / "copy", path)
    else:
        (tmp_path / "copy").rename(path)
    held.look()
    assert held.sound
    assert answers(held, version) == expected


def test_codes_are_made_again_while_they_are_served(tmp_path: Path) -> None:
    version = made(tmp_path, entries(tmp_path, CODES), CODES)
    held = holding(tmp_path)
    expected = answers(held, version)
    path = file_of(tmp_path, INDEX)
    path.write_bytes(b"nothing")
    held.look()
    assert held.sound
    assert answers(held, version) == expected
    originals = file_of(tmp_path, ORIGINALS)
    content = originals.read_bytes()
    originals.write_bytes(content[::-1])
    held.look()
    assert not held.sound
    originals.write_bytes(content)
    held.look()
    assert answers(held, version) == expected


def test_a_scrub_finds_what_left_no_trace(tmp_path: Path) -> None:
    version = made(tmp_path, entries(tmp_path)[:1])
    held = holding(tmp_path)
    path = file_of(tmp_path, INDEX)
    stamp = path.stat()
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    for _ in range(70):
        held.look()
    with pytest.raises(Mismatch, match="no longer has the checksum"):
        answers(held, version)


def test_a_damaged_version_is_opened_anew_when_it_is_prepared_again(tmp_path: Path) -> None:
    version = made(tmp_path, entries(tmp_path))
    held = holding(tmp_path)
    expected = answers(held, version)
    path = file_of(tmp_path, INDEX)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(Mismatch):
        answers(held, version)
    with pytest.raises(Mismatch):
        held.prepare("", version.id)
    path.write_bytes(content)
    assert held.prepare("", version.id).elapsed > 0
    assert answers(held, version) == expected


def test_what_memory_refuses_is_tried_again(tmp_path: Path) -> None:
    version = made(tmp_path, entries(tmp_path))
    opener, refusing = ShardOpener("shard-00000", "cpu"), [False]

    def open_version(corpus: Corpus, healing: bool) -> Shard:
        if refusing[0]:
            raise Unavailable("too little memory", "NO_MEMORY")
        return opener(corpus, healing)

    held = Held([tmp_path], open_version)
    held.prepare_current()
    path = file_of(tmp_path, INDEX)
    content = path.read_bytes()
    path.write_bytes(b"")
    held.look()
    path.write_bytes(content)
    refusing[0] = True
    held.look()
    assert not held.sound
    refusing[0] = False
    held.look()
    answers(held, version)


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


def test_health_follows_what_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workers.watch.INTERVAL", 0.001)
    made(tmp_path, entries(tmp_path))
    held = holding(tmp_path)
    path = file_of(tmp_path, INDEX)
    content, said = path.read_bytes(), {fit: threading.Event() for fit in (True, False)}
    held.start(lambda fit: said[fit].set())
    path.write_bytes(b"")
    assert said[False].wait(60)
    assert not said[True].is_set()
    path.write_bytes(content)
    assert said[True].wait(60)
