import dataclasses
import json
from pathlib import Path

import pytest

from engine import manifest
from engine.errors import Mismatch, NotFound
from engine.manifest import EncoderEntry, Manifest, ModelEntry, ShardEntry, StreamEntry


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    folder = tmp_path / "generations" / "g1"
    (folder / "shard-00000").mkdir(parents=True)
    (folder / "catalog.sqlite").write_bytes(b"videos")
    (folder / "shard-00000" / "index.faiss").write_bytes(b"vectors")
    manifest.write(folder, describe(folder))
    return folder


def describe(folder: Path) -> Manifest:
    return Manifest(
        id=folder.name,
        created="2026-01-01T00:00:00Z",
        collection="default",
        encoder=EncoderEntry("models/encoder/e", "e"),
        projector=ModelEntry("models/projector/p", "p"),
        ranker=None,
        embedding_model=manifest.embedding_model("e", "p"),
        dim=8,
        segment_length=4.0,
        factory="Flat",
        quantizer_sha256="00",
        videos=2,
        segments=5,
        shards=(ShardEntry("shard-00000", 2, 5),),
        streams={"frames": StreamEntry(8, 1.0, "float16")},
        files=manifest.describe_files(folder, ["shard-00000/index.faiss", "catalog.sqlite"]),
    )


def test_a_manifest_comes_back_as_it_was(generation: Path) -> None:
    assert manifest.read(generation) == describe(generation)


def test_it_names_the_files_of_a_folder(generation: Path) -> None:
    assert manifest.read(generation).files_of("shard-00000") == ["shard-00000/index.faiss"]


def test_without_a_projector_the_space_is_named_mean_pool() -> None:
    assert manifest.embedding_model("abc", None) == "abc/mean-pool"


def test_whole_files_pass(generation: Path) -> None:
    manifest.verify(generation, manifest.read(generation))


@pytest.mark.parametrize("content", [b"vectorz", b"vectors and more", None])
def test_a_changed_file_is_refused_by_name(generation: Path, content: bytes | None) -> None:
    path = generation / "shard-00000" / "index.faiss"
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(Mismatch, match=r"shard-00000/index\.faiss") as caught:
        manifest.verify(generation, manifest.read(generation))
    assert caught.value.reason == "GENERATION_CORRUPT"


def test_only_the_named_files_are_verified(generation: Path) -> None:
    (generation / "shard-00000" / "index.faiss").unlink()
    manifest.verify(generation, manifest.read(generation), files=["catalog.sqlite"])
    with pytest.raises(Mismatch, match="not in the manifest"):
        manifest.verify(generation, manifest.read(generation), files=["other"])


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"format": 2}', '{"format": 1, "id": "x"}'])
def test_a_broken_manifest_is_refused(generation: Path, text: str) -> None:
    (generation / "manifest.json").write_text(text)
    with pytest.raises(Mismatch, match=r"manifest\.json"):
        manifest.read(generation)


def test_a_field_of_a_later_version_is_refused(generation: Path) -> None:
    value = dataclasses.asdict(describe(generation)) | {"format": 1, "surprise": 1}
    (generation / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(Mismatch, match="surprise"):
        manifest.read(generation)


def test_current_is_what_was_activated(generation: Path) -> None:
    collection = generation.parent.parent
    with pytest.raises(NotFound, match="spr build"):
        manifest.current(collection)
    manifest.activate(collection, "g1")
    assert manifest.current(collection) == generation
    assert manifest.generation_dir(collection) == manifest.generation_dir(collection, "g1") == generation


@pytest.mark.parametrize("name", ["g2", "../g1", ".", "/etc"])
def test_an_unknown_generation_is_not_found(generation: Path, name: str) -> None:
    with pytest.raises(NotFound):
        manifest.generation_dir(generation.parent.parent, name)


def test_an_unfinished_generation_is_never_activated(generation: Path) -> None:
    collection = generation.parent.parent
    (collection / "generations" / "g2").mkdir()
    with pytest.raises(NotFound, match="g2"):
        manifest.activate(collection, "g2")
    assert not (collection / "CURRENT").exists()


def test_a_model_is_found_inside_and_outside_the_collection(generation: Path) -> None:
    collection = generation.parent.parent
    inside, outside = ModelEntry("models/ranker/r", "r"), ModelEntry("/elsewhere/r", "r")
    assert manifest.model_path(generation, inside) == collection / "models/ranker/r"
    assert manifest.model_path(generation, outside) == Path("/elsewhere/r")
