"""What a version's models and features are checked against before they serve."""

import dataclasses
from pathlib import Path

import pytest

from engine import parts, versions
from engine.entries import PartEntry
from engine.errors import Mismatch
from tests.workers.ranker.factories import WIDTH, Tiny, tiny, tiny_collection
from workers.ranker.models import Models


def file_of(made: Tiny, entry: PartEntry, name: str) -> Path:
    path = parts.directory(made.directory, entry.id) / name
    path.chmod(0o644)
    return path


@pytest.mark.parametrize("name", ["context/frames.npy", "context/durations.npy", "encoded/video.npy"])
def test_a_changed_file_is_refused(tmp_path: Path, name: str) -> None:
    made = tiny(tmp_path / "collection", trained=True, contexts="float16")
    listed = [made.part(["a", "c"]), made.part(["b"])]
    made.version(listed)
    path = file_of(made, listed[1], name)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Mismatch, match=rf"{listed[1].id}/{name} has SHA-256"):
        Models.open(made.directory, device="cpu")


def test_a_changed_ranker_is_refused(tmp_path: Path) -> None:
    made = tiny(tmp_path / "collection", trained=True)
    assert made.template.ranker is not None
    other = dataclasses.replace(made.template.ranker, fingerprint="f" * 16)
    made = dataclasses.replace(made, template=dataclasses.replace(made.template, ranker=other))
    made.version([made.part(["a"])])
    with pytest.raises(Mismatch, match="ranker has fingerprint"):
        Models.open(made.directory, device="cpu")


def test_a_ranker_for_other_features_is_refused(tmp_path: Path) -> None:
    made = tiny_collection(tmp_path / "collection", trained=True, ranker_width=WIDTH + 1)
    with pytest.raises(Mismatch, match=r"frames of version 00000001-[0-9a-f]{12} are 32 wide"):
        Models.open(made.directory, device="cpu")


def test_contexts_of_another_ranker_are_refused(tmp_path: Path) -> None:
    made = tiny_collection(tmp_path / "collection", trained=True, contexts="int8")
    other = tiny(tmp_path / "other", trained=True, contexts="int8", ranker_width=WIDTH + 1)
    template = dataclasses.replace(made.template, ranker=other.template.ranker)
    dataclasses.replace(made, template=template).version(versions.read(made.directory).parts)
    with pytest.raises(Mismatch, match="has ranker"):
        Models.open(made.directory, device="cpu")


@pytest.mark.parametrize("contexts", ["", "float16"])
def test_a_version_without_videos_opens(tmp_path: Path, contexts: str) -> None:
    made = tiny(tmp_path / "collection", trained=True, contexts=contexts)
    made.version([])
    models = Models.open(made.directory, device="cpu")
    models.warm()
    assert len(models.features) == 0
    gone = made.part(["a", "b"])
    made.version([gone], deleted=["a", "b"])
    assert len(Models.open(made.directory, device="cpu").features) == 0
