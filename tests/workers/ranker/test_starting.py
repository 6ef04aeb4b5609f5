"""What a ranker worker refuses to serve."""

import dataclasses
from pathlib import Path

import pytest

from engine import manifest
from engine.errors import Mismatch
from tests.workers.ranker.factories import WIDTH, named, tiny_generation
from tests.workers.ranker.running import start
from workers.ranker.models import Models


def test_a_wrong_encoder_is_refused_with_the_reason(tmp_path: Path) -> None:
    tiny_generation(tmp_path / "collection", trained=False, fingerprint="0123456789abcdef")
    process, said = start(tmp_path)
    assert process.wait(timeout=300) == Mismatch.exit_code
    assert process.stdout is not None
    process.stdout.close()
    assert not said["ready"]
    assert "encoder has fingerprint" in said["error"]
    assert "was built with 0123456789abcdef" in said["error"]


def test_changed_features_are_refused(tmp_path: Path) -> None:
    generation = tiny_generation(tmp_path / "collection", trained=False)
    path = generation / "context" / "frames.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(Mismatch, match=r"frames\.npy has SHA-256"):
        Models.open(generation, "cpu")


def test_a_changed_ranker_is_refused(tmp_path: Path) -> None:
    collection = tmp_path / "collection"
    generation = tiny_generation(collection, trained=True)
    about = manifest.read(generation)
    assert about.ranker is not None
    other = dataclasses.replace(about.ranker, fingerprint="f" * 16)
    generation = named(generation, dataclasses.replace(about, ranker=other))
    with pytest.raises(Mismatch, match="ranker has fingerprint"):
        Models.open(generation, "cpu")


def test_a_ranker_for_other_features_is_refused(tmp_path: Path) -> None:
    generation = tiny_generation(tmp_path / "collection", trained=True, ranker_width=WIDTH + 1)
    with pytest.raises(Mismatch, match=r"frames of generation [0-9a-f]{16} are 32 wide"):
        Models.open(generation, "cpu")
