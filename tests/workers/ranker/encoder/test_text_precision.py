"""The 8-bit text tower against the model it stands in for, and how it is kept."""

import json
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tests import numeric
from tests.workers.ranker.encoder.test_encoder import siglip as siglip
from tests.workers.ranker.factories import tiny_clip
from workers.ranker.encoder import text_graph, text_precision
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.text_precision import CARD, GRAPH, SENTENCES, agreement, choose, cosines, prepared
from workers.ranker.encoder.text_tower import TextTower, parts_of


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.fixture(params=["clip", "siglip"])
def encoder(request: pytest.FixtureRequest) -> Encoder:
    return Encoder.load(str(request.getfixturevalue(request.param)), "cpu")


def tower(encoder: Encoder, levels: int | None = text_graph.LEVELS) -> TextTower:
    parts = parts_of(encoder.model) or pytest.fail("it is of another build")
    return TextTower(parts, text_graph.build(parts.shape, parts.weights, levels), 1)


def test_the_graph_is_the_model(encoder: Encoder) -> None:
    exact = encoder.text(SENTENCES)
    encoder.use_tower(tower(encoder, None))
    found = encoder.text(SENTENCES)
    numeric.close(found.pooled, exact.pooled)
    for states, expected in zip(found.tokens, exact.tokens, strict=True):
        numeric.close(states, expected)


# Loads neither torch nor matplotlib, which write where they like.
BUILD = """
import pickle, sys
from workers.ranker.encoder import text_graph
from workers.ranker.encoder.text_tower import TextTower
with open(sys.argv[1], "rb") as file:
    parts = pickle.load(file)
TextTower(parts, text_graph.build(parts.shape, parts.weights, text_graph.LEVELS), 1)
"""


def test_nothing_is_written_or_reported_by_onnxruntime(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "parts").write_bytes(pickle.dumps(parts_of(Encoder.load(str(clip), "cpu").model)))
    homes = {name: str(tmp_path / name) for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for folder in homes.values():
        Path(folder).mkdir()
    # What automation sets turns the reports off as well.
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "ORT_DISABLE_TELEMETRY")}
    command = [sys.executable, "-c", BUILD, str(tmp_path / "parts")]
    subprocess.run(command, check=True, cwd=Path(__file__).parents[4], env={**kept, **homes})
    assert [path for folder in homes.values() for path in Path(folder).rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("activation", text_graph.ACTIVATIONS)
def test_every_activation_is_the_models(clip: Path, activation: str, tmp_path: Path) -> None:
    from transformers import CLIPModel
    from transformers.activations import ACT2FN

    encoder = Encoder.load(str(clip), "cpu")
    assert isinstance(encoder.model, CLIPModel)
    encoder.model.config.text_config.hidden_act = activation
    for layer in encoder.model.text_model.encoder.layers:
        layer.mlp.activation_fn = ACT2FN[activation]
    exact = encoder.text(SENTENCES)
    encoder.use_tower(tower(encoder, None))
    numeric.close(encoder.text(SENTENCES).pooled, exact.pooled)
    assert agreement(encoder, tower(encoder)).pooled >= 0.999


def test_an_old_end_marker_pools_where_transformers_does(clip: Path) -> None:
    encoder = Encoder.load(str(clip), "cpu")
    encoder.model.config.text_config.eos_token_id = encoder.model.text_model.eos_token_id = 2
    exact = encoder.text(SENTENCES)
    encoder.use_tower(tower(encoder, None))
    numeric.close(encoder.text(SENTENCES).pooled, exact.pooled)


@pytest.mark.parametrize("levels", [text_graph.LEVELS, text_graph.FEW_LEVELS])
def test_eight_bits_say_the_same(encoder: Encoder, levels: int) -> None:
    found = agreement(encoder, tower(encoder, levels))
    assert found.good
    assert found.pooled >= 0.998
    assert found.tokens >= 0.998


def test_eight_bits_say_the_same_of_a_wide_tower_with_large_first_tokens(clip: Path) -> None:
    encoder = Encoder.load(str(clip), "cpu")
    with torch.no_grad():
        # As in trained towers: few channels of the first token are far larger than all else.
        begin = encoder.model.config.text_config.bos_token_id
        encoder.model.text_model.embeddings.token_embedding.weight[begin, :2] = 30.0
    assert agreement(encoder, tower(encoder)).good


def test_a_batch_gives_what_single_texts_give(encoder: Encoder) -> None:
    encoder.use_tower(tower(encoder))
    together = encoder.text([*SENTENCES, "ball " * 30])
    for row, text in enumerate([*SENTENCES, "ball " * 30]):
        alone = encoder.text([text])
        numeric.close(together.pooled[row], alone.pooled[0])
        numeric.close(together.tokens[row], alone.tokens[0])


def test_it_is_prepared_once(encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(encoder, "int8", tmp_path, 1) == "int8"
    first = encoder.text(SENTENCES).pooled
    assert sorted(path.name for path in (tmp_path / encoder.fingerprint).iterdir()) == [CARD, GRAPH]
    monkeypatch.setattr(text_precision, "build", None)
    again = Encoder.load(encoder.name, "cpu")
    assert choose(again, "int8", tmp_path, 1) == "int8"
    np.testing.assert_array_equal(again.text(SENTENCES).pooled, first)


def test_the_same_encoder_gives_the_same_file(encoder: Encoder) -> None:
    parts = parts_of(encoder.model)
    assert parts is not None
    graphs = {text_graph.build(parts.shape, parts.weights, text_graph.LEVELS) for _ in range(2)}
    assert len(graphs) == 1


@pytest.mark.parametrize("damage", ["graph", "gone", "card", "other encoder", "old", "not an object"])
def test_damaged_files_are_made_again(
    clip: Path, tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Encoder.load(str(clip), "cpu")
    assert prepared(encoder, tmp_path, 1)
    folder = tmp_path / encoder.fingerprint
    graph, card = (folder / GRAPH).read_bytes(), json.loads((folder / CARD).read_text())
    if damage == "graph":
        (folder / GRAPH).write_bytes(graph[:100] + b"x" + graph[101:])
    elif damage == "gone":
        (folder / GRAPH).unlink()
    else:
        other = {
            "card": "{",
            "not an object": "[]",
            "old": json.dumps({**card, "format": text_precision.FORMAT - 1}),
            "other encoder": json.dumps({**card, "encoder": "0" * 16}),
        }
        (folder / CARD).write_text(other[damage])
    assert prepared(encoder, tmp_path, 1)
    assert "is made again" in caplog.text
    assert (folder / GRAPH).read_bytes() == graph
    assert json.loads((folder / CARD).read_text()) == card


def test_a_directory_that_cannot_be_written_is_no_obstacle(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    encoder = Encoder.load(str(clip), "cpu")
    assert choose(encoder, "int8", tmp_path / "file", 1) == "int8"
    assert "kept in memory only" in caplog.text


def test_what_says_something_else_is_refused(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(text_precision, "LEVELS", 2)
    monkeypatch.setattr(text_precision, "FEW_LEVELS", 1)
    encoder = Encoder.load(str(clip), "cpu")
    before = encoder.text(SENTENCES).pooled
    assert choose(encoder, "int8", tmp_path, 1) == "float32"
    assert caplog.text.count("are refused") == 2
    assert not list(tmp_path.iterdir())
    np.testing.assert_array_equal(encoder.text(SENTENCES).pooled, before)


def test_weights_that_must_be_halved_are(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_precision, "LEVELS", 2)
    encoder = Encoder.load(str(clip), "cpu")
    assert choose(encoder, "int8", tmp_path, 1) == "int8"
    card = json.loads((tmp_path / encoder.fingerprint / CARD).read_text())
    assert card["levels"] == text_graph.FEW_LEVELS


def test_what_onnxruntime_refuses_is_no_obstacle(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(text_precision, "build", lambda *_: b"not a graph")
    encoder = Encoder.load(str(clip), "cpu")
    assert choose(encoder, "int8", tmp_path, 1) == "float32"
    assert "does not run here" in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_onnx_texts_are_encoded_in_float32(
    clip: Path,
    tmp_path: Path,
    missing: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    assert choose(Encoder.load(str(clip), "cpu"), "int8", tmp_path, 1) == "float32"
    assert "pip install onnx onnxruntime" in caplog.text


def test_auto_weighs_the_time_saved(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    encoder = Encoder.load(str(clip), "cpu")
    monkeypatch.setattr(text_precision, "WORTH", 60.0)
    assert choose(encoder, "auto", tmp_path, 1) == "float32"
    assert "ms a text" in caplog.text
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr(text_precision, "WORTH", -60.0)
    assert choose(encoder, "auto", tmp_path, 1) == "int8"


def test_float32_asks_for_nothing(clip: Path, tmp_path: Path) -> None:
    encoder = Encoder.load(str(clip), "cpu")
    assert choose(encoder, "float32", tmp_path, 1) == "float32"
    assert not list(tmp_path.iterdir())


def test_other_builds_keep_their_numbers(
    clip: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Encoder.load(str(clip), "cpu", "bfloat16")
    assert choose(encoder, "int8", tmp_path, 1) == "bfloat16"
    encoder = Encoder.load(str(clip), "cpu")
    encoder.model.config.text_config.hidden_act = "relu"
    assert choose(encoder, "int8", tmp_path, 1) == "float32"
    assert caplog.text.count("are not encoded in int8") == 2


def test_cosines_are_of_rows() -> None:
    rows = np.array([[1.0, 0.0], [0.0, 2.0], [0.0, 0.0]])
    numeric.close(cosines(rows, np.ones((3, 2))), [0.5**0.5, 0.5**0.5, 0.0], numeric.FLOAT64)
