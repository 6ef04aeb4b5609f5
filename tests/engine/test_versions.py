"""Versions and parts on disk: read back as written, refused when damaged, found by id and number."""

import contextlib
import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine import parts, sealed, versions
from engine.corpus import open_corpus
from engine.entries import (
    EncoderEntry,
    ModelEntry,
    PartEntry,
    ShardEntry,
    StreamEntry,
    TextsEntry,
    Version,
    runs_of,
)
from engine.errors import InvalidInput, Mismatch, NotFound
from engine.verification import verify
from tests.engine.corpus import Corpus


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, Version]:
    collection = Corpus().write(tmp_path / "c")
    return collection, versions.read(collection)


def test_a_version_comes_back_as_it_was(written: tuple[Path, Version]) -> None:
    collection, about = written
    streams = {"frames": StreamEntry(8, 1.0, "float16")}
    wanted = dataclasses.replace(
        about, projector=ModelEntry("models/projector/p", "p"), streams=streams, settings={"shards": 2}
    )
    committed = versions.commit(collection, wanted)
    assert (committed.number, versions.read(collection, committed.id)) == (2, committed)
    assert committed.projector == ModelEntry("models/projector/p", "p")
    assert versions.current(collection) == about.id


def test_a_version_has_the_keys_of_the_first_release_where_nothing_later_is_used(
    written: tuple[Path, Version],
) -> None:
    # A program refuses keys that it does not know: what lacks them can be opened after a rollback.
    released = Path(__file__).parents[1] / "released" / "0.1.0" / "collection"
    version, part = (
        written[0] / "versions" / "00000001.json",
        next((written[0] / "parts").glob("*/part.json")),
    )
    assert {*json.loads(version.read_bytes())} == {
        *json.loads((released / "versions" / "00000001.json").read_bytes())
    }
    released_part = next((released / "parts").glob("*/part.json"))
    assert {*json.loads(part.read_bytes())} == {*json.loads(released_part.read_bytes())}
    texts = TextsEntry("0" * 64)
    told = sealed.plain(dataclasses.replace(written[1], texts=texts))
    assert "centre_sha256" not in told["texts"]
    told = sealed.plain(dataclasses.replace(texts, centre_sha256="1"))
    assert told["centre_sha256"] == "1"


@pytest.mark.parametrize("name", ["1", "{id}", ""])
def test_a_version_is_named_by_number_or_id_or_not_at_all(written: tuple[Path, Version], name: str) -> None:
    collection, about = written
    assert versions.resolve(collection, name.format(id=about.id)) == about.id


@pytest.mark.parametrize(
    "name", ["7", "../1", "g2", "00000001-000000000000x", ".", "1" * 5000, "0" * 300, "٣", "\0"]
)
def test_an_unknown_version_is_not_found_and_the_others_are_named(
    written: tuple[Path, Version], name: str
) -> None:
    with pytest.raises(NotFound, match="there are: 1"):
        versions.resolve(written[0], name)


def test_an_id_with_another_hash_is_refused(written: tuple[Path, Version]) -> None:
    with pytest.raises(Mismatch, match="is version 00000001-"):
        versions.read(written[0], "00000001-000000000000")


def test_current_is_what_was_activated(written: tuple[Path, Version]) -> None:
    collection, about = written
    second = Corpus(videos=3).write(collection, about.id, activate=False)
    later = versions.read(second, "2").id
    assert versions.newest(collection) == about.id
    versions.activate(collection, later)
    assert versions.newest(collection) == later
    with pytest.raises(NotFound, match="spr build"):
        versions.current(collection.parent)
    assert versions.newest(collection.parent) == ""


def test_one_that_cannot_be_read_is_never_activated(written: tuple[Path, Version]) -> None:
    collection, about = written
    with pytest.raises(NotFound):
        versions.activate(collection, "00000002-000000000000")
    assert versions.current(collection) == about.id


def test_an_older_format_is_told_with_the_remedy(tmp_path: Path) -> None:
    collection = tmp_path / "my films"
    (collection / "generations" / "0123456789abcdef").mkdir(parents=True)
    (collection / "CURRENT").write_text("0123456789abcdef\n")
    with pytest.raises(NotFound, match=f"`spr migrate '{collection}'`"):
        versions.current(collection)
    (collection / "CURRENT").unlink()
    with pytest.raises(NotFound, match=f"`spr build '{collection}'`"):
        versions.current(collection)


def test_a_current_that_names_no_version_is_named_with_the_remedy(written: tuple[Path, Version]) -> None:
    (written[0] / "CURRENT").write_text("garbage\n")
    with pytest.raises(NotFound, match=r"/CURRENT names 'garbage', which is no id .* run `spr build "):
        versions.read(written[0], versions.current(written[0]))


def test_a_current_that_is_not_text_is_one_sentence(written: tuple[Path, Version]) -> None:
    current = written[0] / "CURRENT"
    current.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="CURRENT is not UTF-8"):
        versions.current(written[0])


def flips(content: bytes, bits: Iterable[int]) -> Iterator[bytes]:
    for bit in bits:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_a_flipped_bit_of_a_version_is_refused_or_changes_nothing(
    written: tuple[Path, Version], whole: bool
) -> None:
    collection, about = written
    path = versions.path_of(collection, about.id)
    content = path.read_bytes()
    bits = range(0, 8 * len(content), 1 if whole else 13)
    read = []
    for flipped in flips(content, bits):
        path.write_bytes(flipped)
        with contextlib.suppress(Mismatch):
            read.append(versions.read(collection, about.id))
    assert all(other == about for other in read)
    assert len(read) < len(bits) / 10


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 3, "id": "x"}'])
def test_a_broken_version_is_refused_by_name(written: tuple[Path, Version], text: str) -> None:
    versions.path_of(*written_id(written)).write_text(text)
    with pytest.raises(Mismatch, match=r"00000001\.json"):
        versions.read(written[0])


def written_id(written: tuple[Path, Version]) -> tuple[Path, str]:
    return written[0], written[1].id


def part(**changes: Any) -> PartEntry:
    return dataclasses.replace(PartEntry("0" * 16, "", 4, 9), **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"segment_length": 0.0}, "segment_length = 0"),
        ({"dim": -1}, "dim = -1"),
        ({"videos": 3}, "videos, segments = 3"),
        ({"streams": {"frames": StreamEntry(8, 0.0, "float16")}}, "streams.frames.step = 0"),
        ({"metric": "l2"}, "metric = 'l2'"),
        ({"shards": (ShardEntry("shard-00000", 12, 9, (part(), part())),)}, "twice"),
        ({"shards": (ShardEntry("shard-00000", 12, 9, (part(deleted=(3, 2)),)),)}, "deleted of part"),
        ({"shards": (ShardEntry("shard-00000", 12, 9, (part(deleted=(0, 1, 1, 1)),)),)}, "deleted of part"),
    ],
)
def test_values_that_no_version_has_are_refused(
    written: tuple[Path, Version], changes: dict[str, Any], words: str
) -> None:
    if "shards" in changes:
        changes = {**changes, "segments": 9}
    with pytest.raises(InvalidInput, match=words):
        versions.commit(written[0], dataclasses.replace(written[1], **changes))
    assert versions.numbers(written[0]) == [1]


def test_a_field_of_a_later_program_is_refused(written: tuple[Path, Version]) -> None:
    collection, about = written
    value = {"format": sealed.FORMAT, **dataclasses.asdict(about), "surprise": 1}
    path = versions.path_of(collection, about.id)
    path.write_text(json.dumps({"sha256": sealed.digest(value), **value}))
    with pytest.raises(Mismatch, match="surprise"):
        versions.read(collection)


def test_deleted_videos_are_runs() -> None:
    runs = runs_of([9, 3, 4, 9, 5])
    assert runs == (3, 3, 9, 1)
    assert part(deleted=runs).deleted_videos().tolist() == [3, 4, 5, 9]


def test_a_model_is_found_inside_and_outside_the_collection(tmp_path: Path) -> None:
    assert versions.model_path(tmp_path, ModelEntry("models/r", "r")) == tmp_path / "models/r"
    assert versions.model_path(tmp_path, ModelEntry("/elsewhere/r", "r")) == Path("/elsewhere/r")
    assert versions.model_path(tmp_path, EncoderEntry("hub/e", "e", "models/e")) == tmp_path / "models/e"


@pytest.mark.parametrize("content", [b"x", b"", None])
def test_a_changed_file_of_a_part_is_refused_by_name(
    written: tuple[Path, Version], content: bytes | None
) -> None:
    collection, about = written
    listed = about.parts[0]
    path = parts.directory(collection, listed.id) / "catalog.sqlite"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Mismatch, match=r"catalog\.sqlite") as caught:
        verify(path.parent, parts.read(collection, listed.id)[0])
    assert caught.value.reason == "GENERATION_CORRUPT"
    with pytest.raises(Mismatch, match=r"catalog\.sqlite"):
        open_corpus(collection)


def test_a_part_of_other_models_is_refused(written: tuple[Path, Version]) -> None:
    collection, about = written
    versions.commit(collection, dataclasses.replace(about, embedding_model="other/p"))
    with pytest.raises(Mismatch, match=r"has embedding_model 'enc/mean-pool', version .* needs 'other/p'"):
        open_corpus(collection, "2")


def test_the_next_version_reads_only_parts_that_are_new(
    written: tuple[Path, Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    collection, about = written
    known: Any = {}
    first = open_corpus(collection, "", known)
    shard = dataclasses.replace(about.shards[0], parts=about.shards[0].parts)
    committed = versions.commit(collection, versions.with_shards(about, [shard, about.shards[1]], "compact"))
    monkeypatch.setattr("engine.corpus.verify", None)  # would be called for a part that is read
    second = open_corpus(collection, committed.id, known)
    assert second.version.parent == first.id
    assert second.catalogue.ids == first.catalogue.ids
