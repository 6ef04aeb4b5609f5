"""Models on disk: `config.json` and `model.safetensors`, named by a fingerprint of both.

Checkpoints are safetensors and JSON, never pickles: an untrusted one cannot run code. A directory is written
under a temporary name and renamed, so it is whole or absent; what is read is compared with its fingerprint
before it is used.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from engine.errors import InvalidInput, Mismatch, NotFound
from engine.files import BadJson, as_os_error, fingerprint, read_json, write_json
from engine.folders import new_folder
from engine.values import filled

Config = TypeVar("Config")
Model = TypeVar("Model", bound=nn.Module)
State = dict[str, torch.Tensor]

CONFIG_FILE = "config.json"
MODEL_FILE = "model.safetensors"


@dataclasses.dataclass(frozen=True, slots=True)
class Card:
    """What a checkpoint says of itself.

    kind: "projector", "ranker", ... config: the values of the model's config dataclass. encoder: fingerprint
    of the encoder whose features it reads, "" if unknown. facts: how it came to be; not in the fingerprint.
    """

    kind: str
    config: Mapping[str, Any]
    encoder: str
    fingerprint: str
    facts: Mapping[str, Any]


def model_fingerprint(
    kind: str, config: Mapping[str, Any], encoder: str, state: Mapping[str, torch.Tensor]
) -> str:
    """Return the 16 hex digits that name a model: over its config and its tensors' bytes in name order."""
    head = json.dumps([kind, config, encoder], sort_keys=True, separators=(",", ":")).encode()
    parts = [head]
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        parts.append(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        parts.append(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return fingerprint(*parts)


def save_model(
    directory: Path,
    kind: str,
    config: Any,
    state: Mapping[str, torch.Tensor],
    *,
    encoder: str = "",
    facts: Mapping[str, Any] | None = None,
) -> str:
    """Write a model into `directory` and return its fingerprint.

    config: a dataclass of JSON values. InvalidInput for tensors that are not finite. The directory appears
    whole or not at all; an older one is replaced.
    """
    values = json.loads(json.dumps(dataclasses.asdict(config)))
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            raise InvalidInput(f"The {kind}'s {name} has numbers that are not finite; train it again.")
    name = model_fingerprint(kind, values, encoder, tensors)
    card = {
        "kind": kind,
        "config": values,
        "encoder": encoder,
        "fingerprint": name,
        "facts": dict(facts or {}),
    }
    with new_folder(directory, replace=True) as partial:
        save_tensors(tensors, partial / MODEL_FILE)
        write_json(partial / CONFIG_FILE, card)
    return name


def save_tensors(
    tensors: Mapping[str, torch.Tensor], path: Path, metadata: dict[str, str] | None = None
) -> None:
    """Write tensors as safetensors, readable as any new file is; an OSError where the disk has no room."""
    try:
        save_file(dict(tensors), path, metadata=metadata)
    except SafetensorError as error:
        raise as_os_error(error, path) or error from None
    follow_umask(path)


def read_card(directory: Path) -> Card:
    """Read `config.json`; NotFound or InvalidInput with the file's name when it is missing or not a card."""
    path = directory / CONFIG_FILE
    if not path.is_file():
        raise NotFound(
            f"{directory} holds no model: {CONFIG_FILE} is missing; train one or name another directory."
        )
    try:
        return filled(Card, read_json(path, dict), str(path))
    except InvalidInput as error:
        why = error.why if isinstance(error, BadJson) else str(error).removeprefix(f"{path}: ").rstrip(".")
        raise InvalidInput(
            f"{path} is not a model's {CONFIG_FILE} ({why}); train the model again."
        ) from error


def load_config(directory: Path, kind: str, cls: type[Config]) -> Config:
    """Return the model's config as `cls`; InvalidInput when the directory holds another kind of model."""
    card = read_card(directory)
    if card.kind != kind:
        raise InvalidInput(f"{directory} holds a {card.kind}, not a {kind}; name a {kind}'s directory.")
    return filled(cls, card.config, str(directory / CONFIG_FILE))


def load_state(directory: Path, device: str | torch.device = "cpu") -> State:
    """Return the tensors by name; Mismatch when they or the config are not those of the fingerprint."""
    card = read_card(directory)
    path = directory / MODEL_FILE
    if not path.is_file():
        raise NotFound(f"{path} is missing; train the model again.")
    try:
        state = load_file(path)
    except SafetensorError as error:
        raise Mismatch(f"{path} is damaged ({error}); train the model again.") from error
    found = model_fingerprint(card.kind, card.config, card.encoder, state)
    if found != card.fingerprint:
        raise Mismatch(
            f"{directory} has fingerprint {found}, its card says {card.fingerprint}; train the model again."
        )
    return {name: tensor.to(device) for name, tensor in state.items()}


class _NoStart(TorchFunctionMode):
    """Skips weight initialisation: on meta tensors it costs a second of imports and does nothing."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        values = kwargs or {}
        if getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else values["tensor"]
        return func(*args, **values)


def shapes_of(make: Callable[[], nn.Module], source: str) -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's tensors by name, without room for any of them.

    InvalidInput, beginning with `source`, for a config that is no model's.
    """
    try:
        with torch.device("meta"), _NoStart():
            return {name: tuple(value.shape) for name, value in make().state_dict().items()}
    except (ArithmeticError, AssertionError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        reason = str(error).partition("\n")[0][:200] or "no reason given"
        raise InvalidInput(f"{source} describes no model that can be ({reason}).") from error


def load_model(make: Callable[[], Model], directory: Path, device: str | torch.device = "cpu") -> Model:
    """Return the model that `make` gives with the tensors of `directory`, ready to be used.

    Names and shapes are compared before any room is made for the model: a config of a stranger can ask for
    any size, but its tensors are there. InvalidInput names what does not fit, else as `load_state`.
    """
    wanted = shapes_of(make, str(directory / CONFIG_FILE))
    state = load_state(directory, device)
    found = {name: tuple(value.shape) for name, value in state.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            raise InvalidInput(
                f"{directory}: its tensors do not fit its config, which wants {name} of shape "
                f"{wanted.get(name, 'none')} and not {found.get(name, 'none')}; train the model again."
            )
    model = make().to(device)
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def follow_umask(path: Path) -> None:
    """Set the default permissions of a new file (0666 less the umask) on one that a library made 0600."""
    mask = os.umask(0o077)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
