import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from engine.errors import InvalidInput, Mismatch, SprError
from spr_cli.main import cli
from tests.parity import files
from tests.trainer.formats.states import SAVES, SIZES, projector_state, ranker_state
from trainer.formats.checkpoints import Choices, read_checkpoint
from trainer.formats.keeping import keep, keep_in_collection
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.projection.projector import ProjectorConfig, load_projector
from workers.ranker.scoring.relo_ranker import RankerConfig, ReloRanker
from workers.ranker.stores.checkpoint import load_state, read_card

CONFIG = {
    "n_heads": 2,
    "hidden_size": 16,
    "input_drop": 0.2,
    "drop": 0.1,
    "ctx_mode": "video_sub",
    "conv_stride": 1,
}


@pytest.mark.parametrize("how", SAVES, ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", ["seqTransf", "seqLSTM", "meanP"])
@pytest.mark.parametrize(("query", "temp"), [(True, True), (True, False), (False, True)])
def test_every_projector_comes_in(
    tmp_path: Path, kind: Any, query: bool, temp: bool, how: dict[str, Any]
) -> None:
    state = projector_state(type=kind, query_proj=query, temp_proj=temp, positions=7)
    found = read_checkpoint(files.stage1(tmp_path / "ckpt.bin", state, **how))
    positions = 32 if kind == "meanP" else 7
    layers = 2 if kind == "seqTransf" else 6
    assert found.config == ProjectorConfig(64, kind, layers, 1, positions, query, temp)
    assert found.facts == {"source": "ckpt.bin", "iter": 1000}
    fingerprint = keep(found, tmp_path / "model", "abc")
    card = read_card(tmp_path / "model")
    assert (card.kind, card.encoder, card.fingerprint) == ("projector", "abc", fingerprint)
    kept = load_state(tmp_path / "model")
    assert kept.keys() == state.keys()
    assert all(torch.equal(kept[name], state[name]) for name in state)
    assert load_projector(tmp_path / "model").config == found.config


@pytest.mark.parametrize("how", SAVES, ids=["zip", "legacy"])
@pytest.mark.parametrize("hidden", [16, 24])
def test_a_ranker_of_any_size_comes_in(tmp_path: Path, hidden: int, how: dict[str, Any]) -> None:
    state = ranker_state(hidden)
    path = files.stage3(tmp_path / "best_model.pt", state, CONFIG, **how)
    with pytest.raises((ModuleNotFoundError, pickle.UnpicklingError)):
        torch.load(path)
    found = read_checkpoint(path, Choices(context=4.0))
    assert isinstance(found.config, RankerConfig)
    model = found.config.model
    assert (model.hidden, model.heads, model.kernel, model.input_dropout) == (hidden, 2, 5, 0.2)
    assert {name: getattr(model, name) for name in SIZES} == SIZES
    assert (model.window.padding, model.window.context, model.window.max_clips) == ("published", 4.0, 128)
    assert found.facts == {"source": "best_model.pt", "epoch": 7, "model_cfg": CONFIG}
    keep(found, tmp_path / "model")
    assert ReloRanker.open(tmp_path / "model").model.config == model


def test_what_a_file_does_not_say_is_asked_for(tmp_path: Path) -> None:
    path = files.stage3(tmp_path / "model.pt", ranker_state(), None)
    with pytest.raises(InvalidInput, match="add --heads"):
        read_checkpoint(path)
    found = read_checkpoint(path, Choices(heads=4))
    assert isinstance(found.config, RankerConfig)
    assert found.config.model.heads == 4
    with pytest.raises(InvalidInput, match="holds a ranker, not a projector"):
        read_checkpoint(path, kind="projector")
    with pytest.raises(InvalidInput, match="ctx_mode = 'video'"):
        read_checkpoint(files.stage3(path, ranker_state(), {**CONFIG, "ctx_mode": "video"}))


def test_bare_half_and_wrapped_states_come_in(tmp_path: Path) -> None:
    state = {f"module.{name}": value.half() for name, value in projector_state().items()}
    shared = torch.randn(64, 64)
    state["module.qfeat_proj.weight"] = shared.T
    state["module.temp_proj.weight"] = shared
    torch.save(state, tmp_path / "bare.pt")
    found = read_checkpoint(tmp_path / "bare.pt")
    assert all(value.dtype == torch.float32 for value in found.state.values())
    assert torch.equal(found.state["qfeat_proj.weight"], shared.T)
    parameters = {name: torch.nn.Parameter(value) for name, value in projector_state().items()}
    torch.save({"model_state_dict": parameters}, tmp_path / "p.pt")
    assert read_checkpoint(tmp_path / "p.pt").kind == "projector"


def test_a_state_that_is_not_one_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ckpt.bin"
    whole = projector_state()
    for change, sentence in (
        ({"temp_proj.bias": torch.ones(3)}, r"temp_proj.bias has shape \(3,\), the other tensors ask for"),
        ({"more": torch.ones(3)}, "has more beside the tensors of a Projector"),
        ({"temp_proj.bias": None}, "lacks temp_proj.bias"),
        ({"temp_proj.bias": torch.ones(64, dtype=torch.int64)}, "is of torch.int64"),
        ({"qfeat_proj.weight": torch.ones(64)}, "too few axes"),
    ):
        merged = {**whole, **change}
        torch.save(
            {"model_state_dict": {name: value for name, value in merged.items() if value is not None}}, path
        )
        with pytest.raises(InvalidInput, match=sentence):
            read_checkpoint(path)
    torch.save({"model_state_dict": {"pt_clip_logit_scale": torch.tensor(4.6)}}, path)
    with pytest.raises(InvalidInput, match="--projector none"):
        read_checkpoint(path)


def test_into_a_collection_that_it_fits(tmp_path: Path) -> None:
    collection = tmp_path / "c"
    streams = {"frames": Stream(64, 1.0), "i3d": Stream(10, 1.5), "subtitles-bert": Stream(6, 1.5)}
    meta = {"encoder": "x", "source": "x", "fingerprint": "abc"}
    FeatureStore.create(collection / "features" / "abc", streams, "float32", meta).close()
    projector = files.stage1(tmp_path / "ckpt.bin", projector_state())
    ranker = files.stage3(tmp_path / "best_model.pt", ranker_state(), CONFIG)
    for path, kind, count in ((projector, "projector", 30), (ranker, "ranker", 121)):
        result = CliRunner().invoke(
            cli, ["import-checkpoint", str(path), "--collection", str(collection), "--json"]
        )
        assert result.exit_code == 0, result.output
        told = json.loads(result.output)
        assert (told["kind"], told["encoder"], told["tensors"]) == (kind, "abc", count)
        home = collection / "models" / kind
        assert (home / "CURRENT").read_text() == told["fingerprint"] + "\n"
        assert Path(told["directory"]) == home / told["fingerprint"]
        assert told["replaced"] is None
        again = keep_in_collection(read_checkpoint(path), collection)
        assert again == (home / told["fingerprint"], None)
        (home / "CURRENT").write_text("another\n")
        result = CliRunner().invoke(cli, ["import-checkpoint", str(path), "--collection", str(collection)])
        assert f"took the place of the current {kind}, which stays in {home / 'another'}" in result.output
    for choices, sentence in (
        (Choices(video_stream="clips"), "reads stream 'clips'"),
        (Choices(clip_length=1.0), "10 numbers a row every 1 s"),
        (Choices(video_stream="frames", clip_length=1.0), "has 64 every 1 s"),
    ):
        with pytest.raises(Mismatch, match=sentence):
            keep_in_collection(read_checkpoint(ranker, choices), collection)


def test_the_command_writes_only_where_nothing_is(tmp_path: Path) -> None:
    path, out = files.stage1(tmp_path / "ckpt.bin", projector_state(type="meanP")), tmp_path / "out"
    run = CliRunner()
    result = run.invoke(cli, ["import-checkpoint", str(path), "--out", str(out), "--encoder", "e"])
    assert result.exit_code == 0, result.output
    assert "projector" in result.output
    assert "5 tensors" in result.output
    assert read_card(out).encoder == "e"
    (out / "precious").write_text("x")
    again = run.invoke(cli, ["import-checkpoint", str(path), "--out", str(out)])
    assert isinstance(again.exception, SprError)
    assert (out / "precious").exists()
    assert run.invoke(cli, ["import-checkpoint", str(path)]).exit_code == 2
