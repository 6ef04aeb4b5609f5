"""All that a training needs to go on exactly where it stopped, in one safetensors file and without pickle.

Tensors are named `model/<parameter>`, `optimizer/<parameter>/<moment>` and `rng/<generator>`; everything else
is one JSON text in the file's header. One file means one atomic rename: no kill leaves half a state.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from engine.errors import Mismatch
from engine.files import replacing
from workers.ranker.stores.checkpoint import save_tensors

Tensors = dict[str, torch.Tensor]


class Stateful(Protocol):
    """A learning-rate scheduler or a gradient scaler: its state is a dict of JSON values."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state."""


@dataclass(frozen=True)
class Training:
    """What is trained: the model, its optimizer, and what else has a state.

    others: schedulers, scalers by name (None is left out). Every parameter of the optimizer is the model's.
    """

    model: torch.nn.Module
    optimizer: torch.optim.Optimizer
    others: Mapping[str, Stateful | None] = field(default_factory=dict)


def write_state(path: Path, training: Training, facts: Mapping[str, Any]) -> None:
    """Write the whole state and `facts` (JSON values) to `path`, atomically."""
    tensors = {f"model/{name}": value for name, value in training.model.state_dict().items()}
    optimizer_tensors, optimizer = flatten_optimizer(training)
    rng_tensors, rng = _rng()
    others = {name: part.state_dict() for name, part in training.others.items() if part is not None}
    header = json.dumps({"facts": facts, "optimizer": optimizer, "rng": rng, "others": others})
    whole = {**tensors, **optimizer_tensors, **rng_tensors}
    whole = {name: value.detach().cpu().contiguous().clone() for name, value in whole.items()}
    with replacing(path) as partial:
        save_tensors(whole, partial, {"state": header})


def read_facts(path: Path) -> dict[str, Any]:
    """Return the facts of a state file without its tensors; Mismatch when it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            facts: dict[str, Any] = json.loads(file.metadata()["state"])["facts"]
            return facts
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise Mismatch(f"{path} is damaged ({error}); train again with --restart.") from error


def read_state(path: Path, training: Training) -> None:
    """Put the state of a file into `training` and into the random generators."""
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["state"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    training.model.load_state_dict(_below(tensors, "model/"))
    _load_optimizer(training, header["optimizer"], _below(tensors, "optimizer/"))
    for name, part in training.others.items():
        if part is not None and name in header["others"]:
            part.load_state_dict(header["others"][name])
    _set_rng(header["rng"], _below(tensors, "rng/"))


def flatten_optimizer(training: Training) -> tuple[Tensors, dict[str, Any]]:
    """Return an optimizer's state as tensors named by parameter, and the rest as JSON values."""
    names = {id(parameter): name for name, parameter in training.model.named_parameters()}
    tensors: Tensors = {}
    scalars: dict[str, dict[str, Any]] = {}
    for parameter, moments in training.optimizer.state.items():
        name = names[id(parameter)]
        scalars[name] = {}
        for key, value in moments.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer/{name}/{key}"] = value
            else:
                scalars[name][key] = value
    groups = [
        {key: value for key, value in group.items() if key != "params"}
        | {"params": [names[id(p)] for p in group["params"]]}
        for group in training.optimizer.param_groups
    ]
    return tensors, {"scalars": scalars, "groups": groups}


def _load_optimizer(training: Training, saved: Mapping[str, Any], tensors: Tensors) -> None:
    """Rebuild the optimizer's own numbering from parameter names."""
    names = {id(parameter): name for name, parameter in training.model.named_parameters()}
    groups = training.optimizer.param_groups
    order = [names[id(parameter)] for group in groups for parameter in group["params"]]
    if [name for group in saved["groups"] for name in group["params"]] != order:
        raise Mismatch(
            "The saved optimizer holds other parameters than this one; train again with --restart."
        )
    number = {name: position for position, name in enumerate(order)}
    state: dict[int, dict[str, Any]] = {
        number[name]: dict(values) for name, values in saved["scalars"].items()
    }
    for path, tensor in tensors.items():
        name, _, key = path.rpartition("/")
        state[number[name]][key] = tensor
    loaded = []
    for group, old in zip(groups, saved["groups"], strict=True):
        values = {k: tuple(v) if isinstance(group.get(k), tuple) else v for k, v in old.items()}
        loaded.append(values | {"params": [number[name] for name in old["params"]]})
    training.optimizer.load_state_dict({"state": state, "param_groups": loaded})


def _rng() -> tuple[Tensors, dict[str, Any]]:
    """Return the states of Python's, numpy's and torch's generators."""
    version, words, gauss = random.getstate()
    legacy = np.random.get_state(legacy=False)
    tensors = {
        "rng/torch": torch.get_rng_state(),
        "rng/numpy": torch.from_numpy(legacy["state"]["key"].astype(np.int64)),
    }
    if torch.cuda.is_available():
        tensors |= {f"rng/cuda{number}": state for number, state in enumerate(torch.cuda.get_rng_state_all())}
    numpy_rest = [legacy["state"]["pos"], legacy["has_gauss"], legacy["gauss"]]
    return tensors, {"python": [version, list(words), gauss], "numpy": numpy_rest}


def _set_rng(saved: Mapping[str, Any], tensors: Tensors) -> None:
    """Put the generators where they were; CUDA generators only where both sides have them."""
    version, words, gauss = saved["python"]
    random.setstate((version, tuple(words), gauss))
    position, has_gauss, cached = saved["numpy"]
    np.random.set_state(("MT19937", tensors["numpy"].numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(tensors["torch"])
    if torch.cuda.is_available():
        for number in range(torch.cuda.device_count()):
            if f"cuda{number}" in tensors:
                torch.cuda.set_rng_state(tensors[f"cuda{number}"], number)


def _below(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors under a prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
