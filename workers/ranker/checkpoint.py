"""Models on disk: `config.json` and `model.safetensors`, named by a fingerprint of both.

Nothing here unpickles: a checkpoint from a stranger is data. A directory is written under a temporary name
and renamed, so it is whole or absent; what is read is compared with its fingerprint before it is used.
"""

import dataclasses
import json
import math
import os
import shutil
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn
from torch.overrides import TorchFunctionMode

from engine.errors import InvalidInput, Mismatch, NotFound
from engine.files import fingerprint, read_json, sync, write_json

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
            raise InvalidInput(f"The {kind}'s {name} has numbers that are not finite; it is no sound model.")
    name = model_fingerprint(kind, values, encoder, tensors)
    partial = directory.with_name(f".{directory.name}.{os.getpid()}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(tensors, partial / MODEL_FILE)
    sync(partial / MODEL_FILE)
    card = {
        "kind": kind,
        "config": values,
        "encoder": encoder,
        "fingerprint": name,
        "facts": dict(facts or {}),
    }
    write_json(partial / CONFIG_FILE, card)
    if directory.exists():
        shutil.rmtree(directory)
    partial.rename(directory)
    sync(directory.parent)
    return name


def read_card(directory: Path) -> Card:
    """Read `config.json`; NotFound or InvalidInput with the file's name when it is missing or not a card."""
    path = directory / CONFIG_FILE
    if not path.is_file():
        raise NotFound(
            f"{directory} holds no model: {CONFIG_FILE} is missing; train one or name another directory."
        )
    try:
        card = Card(**read_json(path))
        texts = (card.kind, card.encoder, card.fingerprint)
        if not all(isinstance(text, str) for text in texts) or not isinstance(card.config, dict):
            raise ValueError("kind, encoder and fingerprint are texts, config is an object")
        return card
    except (ValueError, TypeError) as error:
        raise InvalidInput(
            f"{path} is not a model's {CONFIG_FILE} ({error}); train the model again."
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
    """Leaves out first values: on tensors without room they cost a second of imports and do nothing."""

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


def filled(cls: type[Config], values: Mapping[str, Any], source: str, prefix: str = "") -> Config:
    """Return dataclass `cls` with `values`; InvalidInput names `source` and the key that is wrong.

    Nested dataclasses take nested mappings; lists become tuples; ints are taken for floats.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(typing.cast(Any, cls)) if field.init}
    for key in values:
        if key not in known:
            raise InvalidInput(f"{source}: unknown key {prefix}{key}; known are {', '.join(sorted(known))}.")
    arguments = {key: _value(hints[key], value, source, prefix + key) for key, value in values.items()}
    try:
        return cls(**arguments)
    except InvalidInput as error:
        text = str(error)
        raise InvalidInput(text if text.startswith(source) else f"{source}: {text}") from error
    except TypeError as error:
        missing = str(error).partition(": ")[2] or str(error)
        raise InvalidInput(f"{source}: {prefix.rstrip('.') or cls.__name__} lacks {missing}.") from error


def _value(hint: Any, value: Any, source: str, key: str) -> Any:
    """Return `value` as `hint` wants it."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in options:
            return None
        return _value(next(option for option in options if option is not type(None)), value, source, key)
    if origin is typing.Literal:
        return _one_of(options, value, source, key)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return filled(hint, value, source, key + ".")
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(options[0], item, source, key) for item in value)
    if hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return _finite(value, source, key)
    expected = origin or hint
    if isinstance(expected, type) and (
        not isinstance(value, expected) or (hint is int and isinstance(value, bool))
    ):
        raise InvalidInput(f"{source}: {key} = {value!r} is not of type {expected.__name__}.")
    return value


def _finite(value: float, source: str, key: str) -> float:
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidInput(f"{source}: {key} = {str(value)[:20]} is not a finite number.")
    return number


def _one_of(options: tuple[Any, ...], value: Any, source: str, key: str) -> Any:
    """Return `value` if it is an option."""
    if value not in options:
        raise InvalidInput(f"{source}: {key} = {value!r} is not one of {', '.join(map(repr, options))}.")
    return value
