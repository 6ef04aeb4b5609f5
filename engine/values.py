"""Reads the values of a JSON or TOML file into frozen dataclasses; an error names the key that is wrong."""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

from engine.errors import InvalidInput

Config = TypeVar("Config")
# Takes a value, the file's name and the key's.
Reader = Callable[[Any, str, str], Any]
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
# Of a field that came after the first release: not written at its default, so that older programs read on.
LATER = {"later": True}


def filled(cls: type[Config], values: Mapping[str, Any], source: str, prefix: str = "") -> Config:
    """Return dataclass `cls` with `values`; InvalidInput names `source`, the key, and what it may be.

    Nested dataclasses take nested mappings; lists become tuples; ints are taken for floats, which are finite;
    texts for paths.
    """
    about = _shape(typing.cast(Any, cls))
    values = {about.renamed.get(key, key): value for key, value in values.items()}
    for key in values:
        if key not in about.readers:
            known = ", ".join(sorted(about.readers))
            raise InvalidInput(f"{source}: unknown key {prefix}{key}; known are {known}.")
    missing = [repr(name) for name in about.required if name not in values]
    if missing:
        owner = prefix.rstrip(".") or cls.__name__
        raise InvalidInput(f"{source}: {owner} lacks {', '.join(missing)}.")
    arguments = {key: about.readers[key](value, source, prefix + key) for key, value in values.items()}
    try:
        return cls(**arguments)
    except InvalidInput as error:
        text = str(error)
        raise InvalidInput(text if text.startswith(source) else f"{source}: {text}") from error


@dataclass(frozen=True, slots=True)
class _Shape:
    """What files may say of a dataclass. readers: by field. renamed: a field's name by its former one."""

    readers: Mapping[str, Reader]
    required: tuple[str, ...]
    renamed: Mapping[str, str]


@functools.cache
def _shape(cls: type[Any]) -> _Shape:
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = [field for field in dataclasses.fields(cls) if _is_read(field)]
    return _Shape(
        readers={field.name: _reader(hints[field.name]) for field in fields},
        required=tuple(field.name for field in fields if _is_required(field)),
        renamed={f.metadata[FORMERLY]: f.name for f in dataclasses.fields(cls) if FORMERLY in f.metadata},
    )


def _is_read(field: "dataclasses.Field[Any]") -> bool:
    return field.init and not field.metadata.get("derived")


def _is_required(field: "dataclasses.Field[Any]") -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _reader(hint: Any) -> Reader:
    """Return what takes a value as `hint` wants it: hints are looked into once, not for each value."""
    origin, options = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        whole = _reader(options[0])
        return lambda value, source, key: _bounded(options[1:], whole(value, source, key), source, key)
    if origin in (typing.Union, types.UnionType):
        some = _reader(next(option for option in options if option is not type(None)))
        if type(None) not in options:
            return some
        return lambda value, source, key: None if value is None else some(value, source, key)
    if origin is typing.Literal:
        return functools.partial(_one_of, options)
    if hint is Any:
        return lambda value, source, key: value
    if hint is Path:
        return _path
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return functools.partial(_nested, hint)
    if origin is tuple:
        return functools.partial(_listed, _reader(options[0]))
    if origin is Mapping:
        return functools.partial(_mapped, _reader(options[1]))
    return functools.partial(_typed, origin or hint)


def _path(value: Any, source: str, key: str) -> Any:
    return (
        Path(_typed(str, value, source, key)) if isinstance(value, str) else _typed(Path, value, source, key)
    )


def _nested(cls: type[Any], value: Any, source: str, key: str) -> Any:
    if isinstance(value, Mapping):
        return filled(cls, value, source, key + ".")
    return _typed(cls, value, source, key)


def _listed(item: Reader, value: Any, source: str, key: str) -> Any:
    if isinstance(value, list | tuple):
        return tuple(item(each, source, f"{key}[{number}]") for number, each in enumerate(value))
    return _typed(tuple, value, source, key)


def _mapped(item: Reader, value: Any, source: str, key: str) -> Any:
    if isinstance(value, Mapping):
        return {name: item(each, source, f"{key}.{name}") for name, each in value.items()}
    return _typed(Mapping, value, source, key)


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
