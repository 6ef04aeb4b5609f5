import contextlib
import dataclasses
import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engine.manifest import EncoderEntry, FileEntry, Manifest, ModelEntry, ShardEntry, StreamEntry

from engine import manifest
from engine.errors import InvalidInput, Mismatch, NotFound


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    folder = tmp_path / "generations" / "building"
    (folder / "shard-00000").mkdir(parents=True)
    (folder / "catalog.sqlite").write_bytes(b"videos")
    (folder / "shard-00000" / "index.faiss").write_bytes(b"vectors")
    return named(folder, describe(folder))


def named(folder: Path, about: Manifest) -> Path:
    """Write a manifest and give the directory the id as its name."""
    return folder.rename(folder.with_name(manifest.write(folder, about).id))


def describe(folder: Path) -> Manifest:
    return Manifest(
        id="",
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
    wanted = dataclasses.replace(describe(generation), id=generation.name)
    assert manifest.read(generation) == wanted
    assert manifest.identify(wanted) == generation.name


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


def test_a_directory_in_place_of_a_file_is_refused_by_name(generation: Path) -> None:
    path = generation / "shard-00000" / "index.faiss"
    path.unlink()
    path.mkdir()
    with pytest.raises(Mismatch, match=r"index\.faiss is not a file"):
        manifest.verify(generation, manifest.read(generation))


def flips(content: bytes, bits: Iterable[int]) -> Iterator[bytes]:
    for bit in bits:
        flipped = bytearray(content)
        flipped[bit // 8] ^= 1 << bit % 8
        yield bytes(flipped)


def accepted(generation: Path, bits: Iterable[int]) -> list[Manifest]:
    """Return what is read of a manifest with one bit flipped, where it is read."""
    path = generation / "manifest.json"
    content = path.read_bytes()
    read = []
    for flipped in flips(content, bits):
        path.write_bytes(flipped)
        with contextlib.suppress(Mismatch):
            read.append(manifest.read(generation))
    path.write_bytes(content)
    return read


@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.nightly)])
def test_a_flipped_bit_of_a_manifest_is_refused_or_changes_nothing(generation: Path, whole: bool) -> None:
    about = manifest.read(generation)
    bits = range(0, 8 * (generation / "manifest.json").stat().st_size, 1 if whole else 13)
    read = accepted(generation, bits)
    assert all(other == about for other in read)
    assert len(read) < len(bits) / 10


def test_a_manifest_is_of_the_directory_it_lies_in(generation: Path) -> None:
    other = shutil.copytree(generation, generation.with_name("0123456789abcdef"))
    with pytest.raises(Mismatch, match=f"is of generation '{generation.name}', not '0123456789abcdef'"):
        manifest.read(other)


def test_the_id_is_of_the_content_and_not_of_the_time(generation: Path) -> None:
    about = describe(generation)
    assert manifest.identify(dataclasses.replace(about, created="2027")) == generation.name
    (generation / "catalog.sqlite").write_bytes(b"VIDEOS")
    assert manifest.identify(describe(generation)) != generation.name


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"segment_length": 0.0}, "segment_length = 0"),
        ({"segment_length": -4.0}, "segment_length = -4"),
        ({"dim": 0}, "dim = 0"),
        ({"videos": 3}, "videos, segments = 3, 5"),
        ({"streams": {"frames": StreamEntry(8, 0.0, "float16")}}, r"streams.frames.step = 0"),
        ({"segment_length": float("nan")}, "NaN is no JSON number"),
        ({"segment_length": 10**400}, "segment_length = inf is not finite"),
        ({"dim": "8"}, "dim = '8' is not of type int"),
        ({"shards": ()}, "shards = 0"),
        ({"metric": "l2"}, "metric = 'l2'"),
        ({"files": {"../x": FileEntry("00", 1)}}, r"files.\.\./x"),
        ({"projector": {"path": "p"}}, "projector lacks"),
    ],
)
def test_values_that_no_generation_has_are_refused(
    generation: Path, changes: dict[str, Any], words: str
) -> None:
    folder = named(generation, dataclasses.replace(describe(generation), **changes))
    with pytest.raises(Mismatch, match=rf"manifest\.json.*{words}"):
        manifest.read(folder)


def test_a_generation_of_before_is_still_read(generation: Path) -> None:
    value = {"format": 1, **dataclasses.asdict(describe(generation)), "id": generation.name}
    for later in ("sources", "settings"):
        del value[later]
    del value["encoder"]["path"]
    (generation / "manifest.json").write_text(json.dumps(value))
    about = manifest.read(generation)
    assert manifest.model_path(generation, about.encoder) == generation.parent.parent / "models/encoder/e"


def test_a_current_that_is_not_text_is_one_sentence(generation: Path) -> None:
    current = generation.parent.parent / "CURRENT"
    current.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="CURRENT is not UTF-8"):
        manifest.current(current.parent)
    current.unlink()
    current.mkdir()
    with pytest.raises(InvalidInput, match=r"CURRENT cannot be used \(Is a directory\)"):
        manifest.current(current.parent)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"format": 3}', '{"format": 2}', '{"format": 1, "id": "x"}']
)
def test_a_broken_manifest_is_refused(generation: Path, text: str) -> None:
    (generation / "manifest.json").write_text(text)
    with pytest.raises(Mismatch, match=r"manifest\.json"):
        manifest.read(generation)


def test_a_field_of_a_later_version_is_refused(generation: Path) -> None:
    value = {**dataclasses.asdict(describe(generation)), "format": 1, "surprise": 1}
    (generation / "manifest.json").write_text(json.dumps(value))
    with pytest.raises(Mismatch, match="surprise"):
        manifest.read(generation)


def test_current_is_what_was_activated(generation: Path) -> None:
    collection = generation.parent.parent
    with pytest.raises(NotFound, match="spr build"):
        manifest.current(collection)
    manifest.activate(collection, generation.name)
    assert manifest.current(collection) == generation
    assert manifest.generation_dir(collection) == generation
    assert manifest.generation_dir(collection, generation.name) == generation


@pytest.mark.parametrize("name", ["g2", "../generations/g2", ".", "/etc"])
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
