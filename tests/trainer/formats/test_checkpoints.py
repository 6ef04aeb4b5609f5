import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from engine.errors import InvalidInput, Mismatch, NotFound, SprError
from spr_cli.main import cli
from tests.parity import files
from tests.parity.rule import state_by_rule
from trainer.formats.checkpoints import Choices, read_checkpoint
from trainer.formats.keeping import keep, keep_in_collection
from trainer.formats.unpickle import Inert, Recipe, read_torch
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.projection.projector import Projector, ProjectorConfig, load_projector
from workers.ranker.scoring.relo_ranker import RankerConfig, ReloRanker
from workers.ranker.stores.checkpoint import load_state, read_card

SIZES: dict[str, Any] = {"visual_dim": 10, "subtitle_dim": 6, "query_dim": 8}
CONFIG = {
    "n_heads": 2,
    "hidden_size": 16,
    "input_drop": 0.2,
    "drop": 0.1,
    "ctx_mode": "video_sub",
    "conv_stride": 1,
}
SAVES: list[dict[str, Any]] = [{}, {"_use_new_zipfile_serialization": False}]


def projector_state(**sizes: Any) -> dict[str, torch.Tensor]:
    return state_by_rule(Projector(ProjectorConfig(**{"dim": 64, "heads": 1, "layers": 2, **sizes})), 0.1)


def ranker_state(hidden: int = 16) -> dict[str, torch.Tensor]:
    return state_by_rule(Relo(ReloConfig(hidden=hidden, heads=1, **SIZES)), 0.1)


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


class Evil:
    """What a hostile file asks of whoever loads it."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


class Deep(Evil):
    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (Evil(self.command), "append"), {"x": 1}, iter([1, 2]), iter([("k", "v")])


@pytest.mark.parametrize("how", SAVES, ids=["zip", "legacy"])
@pytest.mark.parametrize("cls", [Evil, Deep])
def test_nothing_in_a_file_runs(tmp_path: Path, cls: type[Evil], how: dict[str, Any]) -> None:
    marker = tmp_path / "ran"
    evil = cls(f"touch {marker}")
    torch.save({"model_state_dict": projector_state(), "extra": [evil, {evil}]}, tmp_path / "a.pt", **how)
    assert read_checkpoint(tmp_path / "a.pt").kind == "projector"
    assert isinstance(read_torch(tmp_path / "a.pt")["extra"][0], Inert)
    state: dict[str, Any] = {**projector_state(), "temp_proj.bias": evil}
    torch.save({"model_state_dict": state}, tmp_path / "b.pt", **how)
    named = "os.system|posix.system|builtins.getattr"
    with pytest.raises(InvalidInput, match=f"temp_proj.bias in its model_state_dict is a ({named}), not a t"):
        read_checkpoint(tmp_path / "b.pt")
    torch.save({"model_state_dict": evil}, tmp_path / "c.pt", **how)
    with pytest.raises(InvalidInput, match=f"its model_state_dict is a ({named})"):
        read_checkpoint(tmp_path / "c.pt")
    torch.save(evil, tmp_path / "d.pt", **how)
    with pytest.raises(InvalidInput, match="no parts by name"):
        read_checkpoint(tmp_path / "d.pt")
    assert not marker.exists()


PROGRAMS = {
    # An object numbered 2**31 - 1, for which the C unpickler would make room.
    "far memo": b"\x80\x02}r\xff\xff\xff\x7f.",
    # Changes of what the reader itself uses, by name: class attributes, functions' defaults.
    "set class": b"\x80\x02ccollections\nOrderedDict\nN}U\x04keysK\x01s\x86b.",
    "set function": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\nN}U\x05_callK\x01s\x86b.",
    "set type": b"\x80\x02c__builtin__\nset\nN}U\x03addK\x01s\x86b.",
    "no storage": b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(K\x01K\x02K\x03K\x04tR.",
    "other reference": b"\x80\x02U\x06moduleK\x01\x86Q.",
    "stops early": b"\x80\x02}(U\x01a",
    "nonsense": b"\x80\x02\xfe\xfe.",
    "empty": b"",
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_hostile_or_damaged_program_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "model.pt"
    archive(path, {"archive/data.pkl": PROGRAMS[name]})
    with pytest.raises(InvalidInput, match=r"model.pt (is no sound file|has no model_state_dict|holds a )"):
        read_checkpoint(path)
    good = files.stage1(tmp_path / "good.bin", projector_state(layers=1))
    assert read_checkpoint(good).kind == "projector"


def archive(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, content in entries.items():
            out.writestr(name, content)


def test_files_of_other_kinds_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    with pytest.raises(NotFound, match="does not exist"):
        read_checkpoint(path)
    path.write_text("hello")
    with pytest.raises(InvalidInput, match="does not begin as one"):
        read_checkpoint(path)
    path.write_bytes(pickle.dumps({"model_state_dict": {}}))
    with pytest.raises(InvalidInput, match="does not begin as one"):
        read_checkpoint(path)
    archive(path, {"word/document.xml": b"<a/>"})
    with pytest.raises(InvalidInput, match=r"without data\.pkl"):
        read_checkpoint(path)
    archive(path, {"a/data.pkl": b"\x80\x02}."}, zipfile.ZIP_DEFLATED)
    with pytest.raises(InvalidInput, match="compressed"):
        read_checkpoint(path)
    archive(path, {"a/data.pkl": b"\x80\x02}.", "a/byteorder": b"big"})
    with pytest.raises(InvalidInput, match="big-endian"):
        read_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(InvalidInput, match="holds a list"):
        read_checkpoint(path)
    torch.save({"weights": 1, "epoch": 2}, path)
    with pytest.raises(InvalidInput, match="no model_state_dict but weights, epoch"):
        read_checkpoint(path)
    torch.save({"fc.weight": torch.ones(2, 2)}, path)
    with pytest.raises(InvalidInput, match=r"neither a projector .* nor a ranker"):
        read_checkpoint(path)


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


def test_a_cut_or_lying_file_is_refused(tmp_path: Path) -> None:
    for how in SAVES:
        path = files.stage1(tmp_path / "ckpt.bin", projector_state(layers=1), **how)
        content = path.read_bytes()
        # Without its index a zip is no zip; a legacy file lacks the last storages, which are not the model's.
        for kept in (10, len(content) // 3):
            path.write_bytes(content[:kept])
            with pytest.raises(InvalidInput, match="no sound file"):
                read_checkpoint(path)
    torch.save({"model_state_dict": projector_state(layers=1)}, tmp_path / "whole.bin")
    with zipfile.ZipFile(tmp_path / "whole.bin") as whole:
        entries = {name: whole.read(name) for name in whole.namelist()}
    storage = next(name for name in entries if name.endswith("data/0"))
    archive(path, {**entries, storage: entries[storage][:-1]})
    with pytest.raises(InvalidInput, match="a storage has 3 bytes for its 1 values"):
        read_checkpoint(path)
    del entries[storage]
    archive(path, entries)
    with pytest.raises(InvalidInput, match="no item named"):
        read_checkpoint(path)


def test_a_tensor_cannot_reach_beyond_its_storage(tmp_path: Path) -> None:
    torch.save(torch.arange(6.0).reshape(2, 3), tmp_path / "one.pt")
    held = read_torch(tmp_path / "one.pt")
    assert torch.equal(held.tensor(), torch.arange(6.0).reshape(2, 3))
    for offset, shape, strides in (
        (1, (2, 3), (3, 1)),
        (0, (2, 3), (4, 1)),
        (-1, (2,), (1,)),
        (0, (10**9,), (0,)),
        (0, (2, -3), (3, 1)),
    ):
        with pytest.raises(ValueError, match="reaches beyond"):
            Recipe(held.storage, offset, shape, strides).tensor()
    assert Recipe(held.storage, 0, (0, 4), (4, 1)).tensor().shape == (0, 4)


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
        again = keep_in_collection(read_checkpoint(path), collection)
        assert again == home / told["fingerprint"]
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
