"""From the values of a JSON or TOML file to frozen dataclasses, or a sentence that names the wrong key."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from engine.errors import InvalidInput

Config = TypeVar("Config")
# In a field's metadata: the name under which older files have it.
FORMERLY = "formerly"


def filled(cls: type[Config], values: Mapping[str, Any], source: str, prefix: str = "") -> Config:
    """Return dataclass `cls` with `values`; InvalidInput names `source` and the key that is wrong.

    Nested dataclasses take nested mappings; lists become tuples; ints are taken for floats, which are finite.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name for field in dataclasses.fields(typing.cast(Any, cls)) if field.init}
    values = _by_todays_names(cls, values)
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
    if hint is Any:
        return value
    if dataclasses.is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return filled(hint, value, source, key + ".")
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(options[0], item, source, key) for item in value)
    if origin is Mapping and isinstance(value, Mapping):
        return {name: _value(options[1], item, source, f"{key}.{name}") for name, item in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < 1 << 1000 else math.inf
    if hint is float and isinstance(value, float) and not math.isfinite(value):
        raise InvalidInput(f"{source}: {key} = {value!r} is not finite.")
    expected = origin or hint
    if isinstance(expected, type) and (
        not isinstance(value, expected) or (hint is int and isinstance(value, bool))
    ):
        raise InvalidInput(f"{source}: {key} = {_shown(value)} is not of type {expected.__name__}.")
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


def _by_todays_names(cls: type[Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return values under the names that their fields have today."""
    renamed = {f.metadata[FORMERLY]: f.name for f in dataclasses.fields(cls) if FORMERLY in f.metadata}
    return {renamed.get(key, key): value for key, value in values.items()}
