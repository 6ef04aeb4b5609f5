"""Settings of a training: a table of a TOML file, changed by `--set key=value`, as a frozen dataclass."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from engine.errors import InvalidInput, NotFound
from engine.files import read_toml
from engine.values import filled

Settings = TypeVar("Settings")

SHIPPED = Path(__file__).parents[1] / "configs"
TABLES = ("projector", "ranker")


def load_settings(cls: type[Settings], table: str, config: str, changes: Sequence[str] = ()) -> Settings:
    """Return `[table]` of a shipped config ("demo") or of a TOML file, with "key=value" changes, as `cls`.

    Values of changes are TOML, or bare words for texts; a dotted key names a nested table's. NotFound or
    InvalidInput name the file and the key; `cls.REFUSED` says of some keys why they are refused.
    """
    path = config_path(config)
    values = read_table(path, table)
    for change in changes:
        _change(values, change)
    source = f"{path} with --set" if changes else str(path)
    for name, why in getattr(cls, "REFUSED", {}).items():
        if _holds(values, name.split(".")):
            raise InvalidInput(f"{source}: {table}.{name} cannot be set; {why}.")
    return filled(cls, values, source, f"{table}.")


def check_optimisation(table: str, settings: Any, positive: Sequence[str]) -> None:
    """Refuse (InvalidInput) steps, epochs or decay below 0, and rates that are not above it, by name.

    settings: with steps, epochs and weight_decay. positive: the settings that must be above 0.
    """
    for name in ("steps", "epochs", "weight_decay"):
        if getattr(settings, name) < 0:
            raise InvalidInput(f"{table}.{name} = {getattr(settings, name)} must not be below 0.")
    for name in positive:
        if getattr(settings, name) <= 0:
            raise InvalidInput(f"{table}.{name} = {getattr(settings, name)} must be above 0.")


def config_path(config: str) -> Path:
    """Return the file that a config's name or path means."""
    shipped = {path.stem: path for path in SHIPPED.glob("*.toml")}
    path = shipped.get(config, Path(config))
    if not path.is_file():
        raise NotFound(
            f"There is no config {config!r}; name a TOML file or one of {', '.join(sorted(shipped))}."
        )
    return path


def read_table(path: Path, table: str) -> dict[str, Any]:
    """Return one table of a training config; the other tables of `TABLES` may stand beside it."""
    tables = read_toml(path)
    for key in tables:
        if key not in TABLES:
            raise InvalidInput(f"{path}: unknown key {key}; known are {', '.join(TABLES)}.")
    values = tables.get(table)
    if not isinstance(values, dict):
        raise InvalidInput(f"{path} has no table [{table}]; add one.")
    return values


def _holds(values: Any, keys: Sequence[str]) -> bool:
    """Return whether nested tables have the key, given as the names on the way to it."""
    for key in keys:
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def _change(values: dict[str, Any], change: str) -> None:
    """Set one "key=value" in nested tables."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise InvalidInput(f"--set {change!r} is not key=value.")
    *tables, last = key.strip().split(".")
    for name in tables:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise InvalidInput(f"--set {change!r}: {name} is a value, not a table.")
    values[last] = _parsed(text.strip())


def _parsed(text: str) -> Any:
    """Return a TOML value, or the text itself where it is none (a bare word)."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
