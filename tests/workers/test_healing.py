"""Parts that are damaged while they are served, and served again when they are whole."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from engine.corpus import Corpus
from engine.errors import Mismatch, Unavailable
from engine.texts import SAID, TextsSought
from tests.workers.holding import CORPUS, QUERIES, TRAINED, answers, entries, holding, made
from tests.workers.index.corpora import commit, file_of, write_part
from tests.workers.index.factories import pairs
from tests.workers.index.spoken import Spoken
from workers import held_metrics, watch
from workers.index import originals
from workers.index.factory import CODES
from workers.index.part import INDEX, ORIGINALS
from workers.index.shard import Shard, ShardOpener
from workers.versions import Held


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
    read = {one.name: one.samples for one in held_metrics.read(held)}
    states = {one.labels["version"]: one.labels["state"] for one in read["spr_held_version_info"]}
    assert states == {sick.id: "damaged", well.id: "sound"}
    assert read["spr_scrub_faults"][0].value == 1
    assert 0 <= read["spr_scrub_age_seconds"][0].value < 3600
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


def test_codes_of_what_is_said_are_made_again_too(tmp_path: Path) -> None:
    trained = TRAINED[CODES]
    texts = Spoken(CORPUS, QUERIES.shape[1], trained)
    texts.save(tmp_path)
    entry = write_part(tmp_path, CORPUS, trained, trained, texts)
    version = commit(tmp_path, [[entry]], trained, texts=texts.entry)
    held = holding(tmp_path)
    sought = TextsSought((SAID,), "", QUERIES[1])

    def said() -> list[tuple[int, int]]:
        (found,) = held.get(version.id).search_texts(sought, 5)
        return pairs(found.hits)

    expected, seen = said(), answers(held, version)
    assert expected
    path = tmp_path / "parts" / entry.id / SAID / INDEX
    path.chmod(0o644)
    path.write_bytes(b"nothing")
    held.look()
    assert held.sound
    assert (said(), answers(held, version)) == (expected, seen)
    # The words have nothing that they could be made of.
    words = tmp_path / "parts" / entry.id / SAID / "words" / "rows.npy"
    words.chmod(0o644)
    words.write_bytes(b"nothing")
    held.look()
    assert not held.sound


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


def test_large_originals_are_hashed_in_slices_once_they_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path, entries(tmp_path, CODES)[:1], CODES)
    path = file_of(tmp_path, ORIGINALS)
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    monkeypatch.setattr(originals, "LARGE", 0)
    monkeypatch.setattr(watch, "INTERVAL", 0.2)
    # A slice takes a quarter of the file.
    monkeypatch.setattr(watch, "FIRST_RATE", 5 * watch.SLICES * len(content) // 4)
    held, unfit = holding(tmp_path), threading.Event()
    held.look()
    assert held.sound
    held.start(lambda fit: None if fit else unfit.set())
    assert unfit.wait(60)
    held.stop()
    assert not held.sound


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
    held.stop()
