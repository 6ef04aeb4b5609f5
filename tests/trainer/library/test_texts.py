"""Texts of a collection that lives: found as by one index, whatever parts and shards they lie in."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import parts, versions, wire_filter
from engine.corpus import open_corpus
from engine.filters import Allowed, Stretch
from engine.part_texts import FILE, PartTexts
from engine.texts import TEXTS
from tests.numeric import close
from tests.trainer.library import living, talking
from tests.trainer.library.living import Content, copied
from tests.trainer.library.talking import QUERIES, answers, expected, ingested
from tests.workers.ranker.sentences.tiny import tiny_sentences
from trainer.generation import texts
from trainer.generation.build import BuildConfig, build
from trainer.generation.garbage import collect_garbage
from trainer.generation.part import add_part
from trainer.ingest.texts import KEY, write
from trainer.library.adding import add
from trainer.library.compacting import compact
from trainer.library.deleting import delete
from trainer.library.kits import Kits
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot
from trainer.library.verify import verify
from workers.index import factory, files
from workers.ranker.sentences.centre import Centred, as_built
from workers.ranker.sentences.opening import open_sentences

VIDEOS: dict[str, Content] = {f"v{number:02d}": (number, 5 + 3 * number) for number in range(12)}
NEW: dict[str, Content] = {"v03": (4, 20), "w": (1, 30), "x": (2, 40), "y": (3, 9)}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("talking") / "c"
    ingested(path, VIDEOS)
    build(BuildConfig(collection=path, shards=2, device="cpu"))
    return path


@pytest.fixture
def path(built: Path, tmp_path: Path) -> Path:
    return copied(built, tmp_path / "c")


@pytest.mark.parametrize("query", QUERIES)
def test_shards_find_what_one_index_finds(built: Path, query: str) -> None:
    for k in (3, 100):
        assert answers(built, query, k) == expected(built, VIDEOS, query, k)


def test_any_number_of_shards_answers_alike(built: Path, path: Path) -> None:
    build(BuildConfig(collection=path, shards=5, device="cpu"))
    for query in QUERIES:
        assert answers(path, query, 20) == answers(built, query, 20)


def test_after_changes_it_finds_what_one_index_finds(path: Path) -> None:
    kits = Kits("cpu")
    ingested(path, NEW)
    add(path, ["v03", "w"], kits)
    add(path, ["x", "y"], kits)
    delete(path, ["v01", "v07"])
    left = {name: content for name, content in (VIDEOS | NEW).items() if name not in ("v01", "v07")}
    for query in QUERIES:
        assert answers(path, query, 20) == expected(path, left, query, 20)
    before = {query: answers(path, query, 50) for query in QUERIES}
    compact(path)
    assert {query: answers(path, query, 50) for query in QUERIES} == before
    assert verify(path) == []


def test_the_meaning_is_found_as_by_one_index_of_all(path: Path, tmp_path: Path) -> None:
    model = tiny_sentences(tmp_path / "model")
    plain = open_sentences(str(model), "cpu")
    build(BuildConfig(collection=path, shards=3, text_encoder=str(model), device="cpu"))
    entry = open_corpus(path).version.texts
    assert entry is not None
    # What is added later too is less the centre of those that were built.
    encoder = as_built(path, entry, plain)
    assert isinstance(encoder, Centred)
    assert entry.encoder is not None
    assert (entry.encoder.fingerprint, entry.dim) == (encoder.fingerprint, encoder.dim)
    assert 0 != abs(entry.usual_cosine) < 1
    ingested(path, NEW)
    add(path, NEW, Kits("cpu"))
    delete(path, ["v01"])
    left = {name: content for name, content in (VIDEOS | NEW).items() if name != "v01"}
    found = {}
    for query in QUERIES[:2]:
        sentence = encoder.queries([query])[0]
        found[query] = answers(path, query, 9, sentence=sentence)
        assert found[query] == expected(path, left, query, 9, encoder)
    compact(path)
    for query in QUERIES[:2]:
        assert answers(path, query, 9, sentence=encoder.queries([query])[0]) == found[query]
    assert verify(path) == []
    assert open_corpus(path).version.texts == entry
    collect_garbage(path, 1)
    assert len(list((path / "quantizers").glob("*.centre"))) == 1
    (copied_model,) = (path / "models" / "sentences").glob("*/model.safetensors")
    copied_model.write_bytes(b"x")
    assert any("sentence encoder" in said or str(copied_model.parent) in said for said in verify(path))


def test_codes_of_sentences_find_what_exact_vectors_find(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_sentences(tmp_path / "model")
    encoder = open_sentences(str(model), "cpu")
    for module in (factory, texts):
        monkeypatch.setattr(module, "FLAT_VALUES", 0)
    build(BuildConfig(collection=path, index="flat", text_encoder=str(model), device="cpu"))
    entry = open_corpus(path).version.texts
    assert entry is not None
    encoder = as_built(path, entry, encoder)
    assert entry.factory == factory.CODES
    part = open_corpus(path).parts[0]
    assert (part.directory / "said" / "originals.faiss").is_file()
    sentence = encoder.queries(QUERIES[:1])[0]
    found = answers(path, QUERIES[0], 9, sentence=sentence)
    # Codes that this FAISS cannot read are made again.
    monkeypatch.setattr(files, "_read", functools.partial(_unreadable, files._read))
    assert answers(path, QUERIES[0], 9, sentence=sentence) == found
    wanted = expected(path, VIDEOS, QUERIES[0], 9, encoder)
    assert found.keys() == wanted.keys()
    for name, hits in found.items():
        # Half-precision originals score what the codes find.
        close([score for _, _, score in hits], [score for _, _, score in wanted[name]], 2e-3, scale=1.0)


def _unreadable(read: Callable[[Path], Any], path: Path) -> Any:
    if path.name == "index.faiss" and path.parent.name == "said":
        raise RuntimeError("of another format")
    return read(path)


def test_a_part_that_is_merged_is_what_a_new_one_of_its_videos_is(path: Path) -> None:
    names = ["w", "x", "y"]
    ingested(path, NEW)
    kits = Kits("cpu")
    corpus = open_corpus(path)
    whole = add_part(path, kits.of(corpus), names)
    files = {name: entry for name, entry in parts.read(path, whole.id)[0].files.items() if _of_text(name)}
    single = [add_part(path, kits.of(corpus), [name]) for name in names]
    shards = corpus.version.shards
    first = dataclasses.replace(
        shards[0],
        videos=shards[0].videos + 3,
        segments=shards[0].segments + sum(part.segments for part in single),
        parts=(*shards[0].parts, *single),
    )
    made = versions.commit(path, versions.with_shards(corpus.version, [first, *shards[1:]], "add"))
    versions.activate(path, made.id)
    compact(path, shards[0].name, [part.id for part in single])
    merged = {
        name: entry
        for part in open_corpus(path).parts
        if part.about.videos == 3 and "w" in [open_corpus(path).catalogue.ids[n] for n in part.ordinals]
        for name, entry in part.about.files.items()
        if _of_text(name)
    }
    assert merged == files


def _of_text(name: str) -> bool:
    return name == FILE or name.split("/")[0] in TEXTS


def test_a_filter_is_heeded(built: Path) -> None:
    corpus = open_corpus(built)
    chosen = np.arange(len(corpus.catalogue)) % 3 != 0
    allowed = Allowed(chosen, int(chosen.sum()), Stretch())
    told = {}
    for number, shard in enumerate(corpus.version.shards):
        ordinals = np.flatnonzero(corpus.catalogue.shards == number).astype(np.int32)
        message = wire_filter.allowed_to_pb(allowed, ordinals)
        assert message is not None
        told[shard.name] = message
    for query in QUERIES:
        assert answers(built, query, 7, told) == expected(built, VIDEOS, query, 7, allowed=chosen)


def test_the_lines_of_a_part_are_those_that_were_ingested(built: Path) -> None:
    corpus = open_corpus(built)
    for part in corpus.parts:
        texts = PartTexts.open(part.directory)
        assert texts is not None
        for number, ordinal in enumerate(part.ordinals.tolist()):
            wanted = talking.texts_of(*VIDEOS[corpus.catalogue.ids[ordinal]])
            assert [tuple(texts.all(number, name)) for name in TEXTS] == [wanted.said, wanted.written]
        texts.close()


def test_a_video_whose_words_changed_is_replaced_and_others_are_not(path: Path) -> None:
    assert add(path, VIDEOS, Kits("cpu")).videos == ()
    with living.store(path) as features:
        content = VIDEOS["v04"]
        info = {KEY: write(path, talking.texts_of(5, 17))}
        features.append("v04", living.arrays(content), "file:///v04.mp4", "", content[1] - 0.5, info)
    assert add(path, VIDEOS, Kits("cpu")).videos == ("v04",)


def test_without_texts_a_version_and_its_parts_are_as_before(tmp_path: Path) -> None:
    path = living.collection(tmp_path / "c", VIDEOS)
    corpus = open_corpus(path)
    assert corpus.version.texts is None
    assert not [name for part in corpus.parts for name in part.about.files if _of_text(name)]
    assert answers(path, "ball", 5) == {}
    ingested(path, NEW)
    change = add(path, ["w"], Kits("cpu"))
    assert change.notes == (
        "what is said and written in them is found by its words after the next `spr build`",
    )


def test_an_equal_build_is_found_and_other_words_make_another(path: Path) -> None:
    assert build(BuildConfig(collection=path, shards=2, device="cpu")).reused
    ingested(path, {"v04": (5, 17)})
    assert not build(BuildConfig(collection=path, shards=2, device="cpu")).reused


def test_the_lexicon_is_kept_copied_verified_and_collected(path: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    snapshot(path, str(backup))
    other = tmp_path / "other"
    restore(other, str(backup))
    assert verify(other) == []
    assert answers(other, QUERIES[0], 20) == answers(path, QUERIES[0], 20)
    (lexicon,) = (other / "quantizers").glob("*.lexicon")
    content = lexicon.read_bytes()
    lexicon.write_bytes(b"x" + content[1:])
    assert any(str(lexicon) in said for said in verify(other))
    lexicon.unlink()
    assert any(str(lexicon) in said for said in verify(other))
    lexicon.write_bytes(content)
    ingested(path, {"v04": (5, 17)})
    build(BuildConfig(collection=path, shards=2, device="cpu"))
    assert len(list((path / "quantizers").glob("*.lexicon"))) == 2
    collect_garbage(path, 1)
    assert [one.name != lexicon.name for one in (path / "quantizers").glob("*.lexicon")] == [True]
