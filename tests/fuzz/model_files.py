"""Readers of models and arrays: checkpoints, safetensors, encoder directories, HDF5, .npy."""

import dataclasses
import io
import json
from pathlib import Path

import h5py
import numpy as np
import torch
from safetensors.torch import save_file

from tests.fuzz.targets import Target, of_file, of_tree
from tests.trainer.formats.states import SAVES, projector_state
from trainer.formats.arrays import Arrays, Folder
from trainer.formats.checkpoints import read_checkpoint
from trainer.runs.state import read_facts
from workers.ranker.encoder.files import check_tokenizer, fingerprint_of, model_type
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.stores import checkpoint
from workers.ranker.stores.checkpoint import load_config, load_model, read_card, save_model

SMALL = ProjectorConfig(dim=4, heads=1, layers=1, positions=4)


def _checkpoints(folder: Path) -> list[bytes]:
    found = []
    state = projector_state(dim=4, layers=1, positions=4)
    for number, how in enumerate(SAVES):
        path = folder / f"{number}.pt"
        torch.save({"model_state_dict": state, "epoch": 3}, path, **how)
        found.append(path.read_bytes())
    return found


def _read_checkpoint(folder: Path, data: bytes) -> None:
    path = folder / "checkpoint.pt"
    path.write_bytes(data)
    read_checkpoint(path)


def _model(folder: Path) -> None:
    torch.manual_seed(0)
    save_model(folder / "m", "projector", SMALL, Projector(SMALL).state_dict())


def _read_model(folder: Path) -> None:
    config = load_config(folder / "m", "projector", ProjectorConfig)
    load_model(lambda: Projector(config), folder / "m")


def _reseal_model(folder: Path, _: Path) -> None:
    """Write into a model's card the fingerprint of what is there."""
    from contextlib import suppress

    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from engine.errors import SprError
    from engine.files import write_json

    with suppress(SprError, SafetensorError, ValueError, RecursionError, TypeError):
        card = read_card(folder / "m")
        state = load_file(folder / "m" / checkpoint.MODEL_FILE)
        name = checkpoint.model_fingerprint(card.kind, card.config, card.encoder, state)
        write_json(folder / "m" / checkpoint.CONFIG_FILE, dataclasses.asdict(card) | {"fingerprint": name})


def _encoder(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({"model_type": "clip", "text_config": {}}))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"")


def _read_encoder(folder: Path) -> None:
    model_type(folder)
    check_tokenizer(folder)
    fingerprint_of(folder)


def _hdf5(folder: Path) -> list[bytes]:
    path = folder / "seed.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("a", data=np.ones((3, 2), np.float32))
        file.create_dataset("a-mask", data=np.ones(3, np.float32))
        file.create_dataset("b", data=np.ones((4, 2), np.float16), chunks=(2, 2), compression="gzip")
    old = folder / "old.h5"
    with h5py.File(old, "w") as file:
        file.create_dataset("a", data=np.ones((3, 2), np.float32))
    return [path.read_bytes(), old.read_bytes()]


def _read_hdf5(folder: Path, data: bytes) -> None:
    path = folder / "arrays.h5"
    path.write_bytes(data)
    with Arrays(path) as arrays:
        arrays.width(2)
        for name in arrays.shapes:
            arrays[name]


def _npy() -> bytes:
    out = io.BytesIO()
    np.save(out, np.ones((3, 2), np.float32))
    return out.getvalue()


def _read_npy(path: Path) -> None:
    found = Folder(path.parent)
    for name in found.shapes:
        found[name]
    found.width(2)


def _state(folder: Path) -> list[bytes]:
    path = folder / "seed.safetensors"
    save_file({"model/a": torch.ones(2)}, path, {"state": json.dumps({"facts": {"step": 3}})})
    return [path.read_bytes()]


def _read_state(folder: Path, data: bytes) -> None:
    path = folder / "state.safetensors"
    path.write_bytes(data)
    read_facts(path)


TARGETS: list[Target] = [
    Target("checkpoint", _checkpoints, _read_checkpoint),
    of_tree("model", _model, _read_model, _reseal_model),
    of_tree("encoder", _encoder, _read_encoder),
    Target("hdf5", _hdf5, _read_hdf5),
    of_file("array.npy", _read_npy, _npy()),
    Target("state", _state, _read_state),
]
