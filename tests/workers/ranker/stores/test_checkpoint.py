"""Checkpoints: fingerprints follow the bytes, and what does not match is refused by name."""

import errno
import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.errors import InvalidInput, Mismatch, NotFound
from workers.ranker.model.local import make_model
from workers.ranker.model.relo import ReloConfig
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.stores import checkpoint
from workers.ranker.stores.checkpoint import load_config, load_state, read_card, save_model, shapes_of


@dataclass(frozen=True)
class Part:
    width: int = 4


@dataclass(frozen=True)
class Shape:
    dim: int
    rate: float = 0.5
    mode: Literal["soft", "hard"] = "soft"
    threshold: float | None = None
    sizes: tuple[int, ...] = (1, 2)
    part: Part = Part()


STATE = {
    "scale": torch.tensor(2.5),
    "layer.weight": torch.arange(6.0).reshape(2, 3),
    "half": torch.ones(2).bfloat16(),
}


@pytest.mark.parametrize(
    "make",
    [
        lambda: make_model(ReloConfig()),
        lambda: make_model(ReloConfig(context_encoder="conv", shortcut=True)),
        *(
            (lambda kind=kind: Projector(ProjectorConfig(type=kind)))
            for kind in ("seqTransf", "seqLSTM", "meanP")
        ),
    ],
)
def test_asking_for_shapes_does_not_load_torchs_compiler(
    make: Callable[[], torch.nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two seconds of CPU whenever a ranker starts.
    monkeypatch.setitem(sys.modules, "torch._dynamo", None)
    assert shapes_of(make, "")


def test_round_trip(tmp_path: Path) -> None:
    config = Shape(3, threshold=0.1, part=Part(9))
    name = save_model(tmp_path / "m", "toy", config, STATE, encoder="e", facts={"step": 4})
    assert load_config(tmp_path / "m", "toy", Shape) == config
    loaded = load_state(tmp_path / "m")
    assert all(
        torch.equal(loaded[key], STATE[key]) and loaded[key].dtype == STATE[key].dtype for key in STATE
    )
    card = read_card(tmp_path / "m")
    assert (card.fingerprint, card.encoder, card.facts, len(name)) == (name, "e", {"step": 4}, 16)


def test_fingerprint_follows_config_encoder_and_tensors_only(tmp_path: Path) -> None:
    base = save_model(tmp_path / "a", "toy", Shape(3), STATE)
    assert (
        save_model(tmp_path / "b", "toy", Shape(3), dict(reversed(STATE.items())), facts={"step": 1}) == base
    )
    others = [
        save_model(tmp_path / "c", "toy", Shape(4), STATE),
        save_model(tmp_path / "d", "toy", Shape(3), STATE, encoder="e"),
        save_model(tmp_path / "e", "toy", Shape(3), {**STATE, "scale": torch.tensor(2.6)}),
        save_model(
            tmp_path / "f", "toy", Shape(3), {**STATE, "layer.weight": STATE["layer.weight"].reshape(3, 2)}
        ),
        save_model(tmp_path / "g", "ranker", Shape(3), STATE),
    ]
    assert len({base, *others}) == 6


def test_saving_again_replaces_the_directory(tmp_path: Path) -> None:
    save_model(tmp_path / "m", "toy", Shape(3), STATE)
    name = save_model(tmp_path / "m", "toy", Shape(5), STATE)
    assert read_card(tmp_path / "m").fingerprint == name
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_changed_tensors_are_refused(tmp_path: Path) -> None:
    save_model(tmp_path, "toy", Shape(3), STATE)
    save_file(
        {**load_file(tmp_path / "model.safetensors"), "scale": torch.tensor(9.0)},
        tmp_path / "model.safetensors",
    )
    with pytest.raises(Mismatch, match="its card says"):
        load_state(tmp_path)


def test_changed_config_is_refused(tmp_path: Path) -> None:
    save_model(tmp_path, "toy", Shape(3), STATE)
    card = json.loads((tmp_path / "config.json").read_text())
    card["config"]["dim"] = 4
    (tmp_path / "config.json").write_text(json.dumps(card))
    with pytest.raises(Mismatch, match="its card says"):
        load_state(tmp_path)


def test_truncated_tensors_are_refused(tmp_path: Path) -> None:
    save_model(tmp_path, "toy", Shape(3), STATE)
    data = (tmp_path / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(data[:-3])
    with pytest.raises(Mismatch, match="is damaged"):
        load_state(tmp_path)


def test_missing_and_foreign_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"config\.json is missing"):
        read_card(tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": ["CLIPModel"]}')
    with pytest.raises(InvalidInput, match="is not a model's"):
        read_card(tmp_path)
    save_model(tmp_path / "m", "toy", Shape(3), STATE)
    with pytest.raises(InvalidInput, match="holds a toy, not a ranker"):
        load_config(tmp_path / "m", "ranker", Shape)
    (tmp_path / "m" / "model.safetensors").unlink()
    with pytest.raises(NotFound, match=r"model\.safetensors is missing"):
        load_state(tmp_path / "m")


def test_a_model_that_is_trained_again_is_never_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = tmp_path / "model"
    save_model(directory, "part", Shape(8), STATE)
    was_there = list[bool]()

    def full(*_: object) -> None:
        was_there.append((directory / "model.safetensors").is_file())
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "model.safetensors")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_tensors", full)
        with pytest.raises(OSError, match="No space"):
            save_model(directory, "part", Shape(8), STATE)
    assert was_there == [True]
    save_model(directory, "part", Shape(8), STATE)
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert sorted(path.name for path in directory.iterdir()) == ["config.json", "model.safetensors"]
