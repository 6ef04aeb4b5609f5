"""Reads the values of a JSON or TOML file into frozen dataclasses; an error names the key that is wrong."""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from engine.errors import InvalidInput

Config = TypeVar("Config")
# In a field's metadata: the name under which older files have it.
FORMERLY = "formerly"


@dataclass(frozen=True, slots=True)
class AtLeast:
    """A lower bound of a number, as in `Annotated[int, AtLeast(1)]`."""

    minimum: float


@dataclass(frozen=True, slots=True)
class AtMost:
    """An upper bound of a number."""

    maximum: float


Count = Annotated[int, AtLeast(0)]
NonNegative = Annotated[float, AtLeast(0)]

# Metadata of a field that no file sets: the program derives it.
DERIVED = {"derived": True}


def filled(cls: type[Config], values: Mapping[str, Any], source: str, prefix: str = "") -> Config:
    """Return dataclass `cls` with `values`; InvalidInput names `source`, the key, and what it may be.

    Nested dataclasses take nested mappings; lists become tuples; ints are taken for floats, which are finite;
    texts for paths.
    """
    about = _shape(typing.cast(Any, cls))
    values = {about.renamed.get(key, key): value for key, value in values.items()}
    for key in values:
        if key not in about.hints:
            known = ", ".join(sorted(about.hints))
            raise InvalidInput(f"{source}: unknown key {prefix}{key}; known are {known}.")
    missing = [repr(name) for name in about.required if name not in values]
    if missing:
        owner = prefix.rstrip(".") or cls.__name__
        raise InvalidInput(f"{source}: {owner} lacks {', '.join(missing)}.")
    arguments = {key: _value(about.hints[key], value, source, prefix + key) for key, value in values.items()}
    try:
        return cls(**arguments)
    except InvalidInput as error:
        text = str(error)
        raise InvalidInput(text if text.startswith(source) else f"{source}: {text}") from error


@dataclass(frozen=True, slots=True)
class _Shape:
    """What files may say of a dataclass. hints: by field. renamed: a field's name today by its former one."""

    hints: Mapping[str, Any]
    required: tuple[str, ...]
    renamed: Mapping[str, str]


@functools.cache
def _shape(cls: type[Any]) -> _Shape:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [field for field in dataclasses.fields(cls) if _is_read(field)]
    return _Shape(
        hints={field.name: hints[field.name] for field in fields},
        required=tuple(field.name for field in fields if _is_required(field)),
        renamed={f.metadata[FORMERLY]: f.name for f in dataclasses.fields(cls) if FORMERLY in f.metadata},
    )


def _is_read(field: "dataclasses.Field[Any]") -> bool:
    return field.init and not field.metadata.get("derived")


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, source: str, key: str) -> Any:
    """Return `value` as `hint` wants it."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _bounded(options[1:], _value(options[0], value, source, key), source, key)
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in options:
            return None
        return _value(next(option for option in options if option is not type(None)), value, source, key)
    if origin is typing.Literal:
        return _one_of(options, value, source, key)
    if hint is Any:
        return value
    if hint is Path and isinstance(value, str):
        return Path(_typed(str, value, source, key))
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return filled(hint, value, source, key + ".")
    if origin is tuple and isinstance(value, list | tuple):
        items = enumerate(value)
        return tuple(_value(options[0], item, source, f"{key}[{number}]") for number, item in items)
    if origin is Mapping and isinstance(value, Mapping):
        return {name: _value(options[1], item, source, f"{key}.{name}") for name, item in value.items()}
    return _typed(origin or hint, value, source, key)


def _typed(expected: Any, value: Any, source: str, key: str) -> Any:
    """Return `value` if it is of the type `expected`, an int also where that is float."""
    if expected is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1 << 1000 else math.inf
    if expected is float and isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{source}: {key} = {value!r} is not finite.")
    if expected is tuple and isinstance(value, Mapping):
        raise InvalidInput(f"{source}: {key} is one table, not a list; in TOML write [[{key}]].")
    if isinstance(value, str) and "\0" in value:
        raise InvalidInput(f"{source}: {key} = {_shown(value)} has a zero byte, which no text here may hold.")
    if isinstance(expected, type) and (
        not isinstance(value, expected) or (expected is int and isinstance(value, bool))
    ):
        raise InvalidInput(f"{source}: {key} = {_shown(value)} is not of type {expected.__name__}.")
    return value


def _bounded(bounds: tuple[Any, ...], value: Any, source: str, key: str) -> Any:
    """Return `value` if it is within its bounds."""
    for bound in bounds:
        if isinstance(bound, AtLeast) and value < bound.minimum:
            raise InvalidInput(f"{source}: {key} = {value!r} is below {bound.minimum:g}.")
        if isinstance(bound, AtMost) and value > bound.maximum:
            raise InvalidInput(f"{source}: {key} = {value!r} is above {bound.maximum:g}.")
    return value


def _one_of(options: tuple[Any, ...], value: Any, source: str, key: str) -> Any:
    """Return `value` if it is an option."""
    if value not in options:
        raise InvalidInput(
            f"{source}: {key} = {_shown(value)} is not one of {', '.join(map(repr, options))}."
        )
    return value


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
