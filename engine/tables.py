"""Values of a TOML file, checked one by one, as a frozen dataclass."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import InvalidInput

Part = TypeVar("Part")


def parts(kind: Callable[..., Part], values: Any, path: Path) -> tuple[Part, ...]:
    """Return a dataclass for each table of a list of tables."""
    table = getattr(kind, "__name__", "part").removesuffix("Config").removesuffix("Worker").lower()
    if not isinstance(values, list):
        raise InvalidInput(f"{path}: write [[{table}]] with two brackets, one table a worker")
    return tuple(part(kind, value, f"{path}: [[{table}]] {i}") for i, value in enumerate(values))


def part(kind: Callable[..., Part], values: Any, where: str) -> Part:
    """Return a dataclass of a table's values; InvalidInput names a key that is amiss or not there."""
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name != "name"}  # type: ignore[arg-type]
    if not isinstance(values, dict):
        raise InvalidInput(f"{where} is not a table")
    refuse_unknown(values, set(fields), where)
    for name, field in fields.items():
        if name in values:
            values = {**values, name: value(values[name], field.type, f"{where}: {name}")}
        elif field.default is dataclasses.MISSING:
            raise InvalidInput(f"{where} needs {name}")
    return kind(**values)


def value(given: Any, kind: Any, where: str) -> Any:
    """Return a value of kind "int", "float" or "str"; InvalidInput for another, or a negative number."""
    wanted: Any = {"int": int, "float": float, "str": str}.get(str(kind), kind)
    if wanted is float and type(given) is int:
        given = float(given)
    if type(given) is not wanted:
        raise InvalidInput(f"{where} is {given!r}; it must be of type {wanted.__name__}")
    if wanted in (int, float) and given < 0:
        raise InvalidInput(f"{where} is {given!r}; it must not be negative")
    return given


def refuse_unknown(values: Mapping[str, Any], known: set[str], where: str) -> None:
    """Raise InvalidInput for the first key that is not known."""
    unknown = sorted(set(values) - known)
    if unknown:
        raise InvalidInput(f"{where} does not know {unknown[0]!r}; it knows {', '.join(sorted(known))}")
