"""JSON files that carry their own checksum: part.json and versions/N.json."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from engine.entries import refuse
from engine.errors import InvalidInput, NotFound
from engine.files import BadJson, read_json, write_json
from engine.values import LATER, filled

Entry = TypeVar("Entry")
FORMAT = 3


def digest(value: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hex, of a value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def plain(value: Any) -> Any:
    """Return a dataclass as JSON values, without LATER fields that have their default: nothing uses them."""
    if dataclasses.is_dataclass(value):
        fields = [field for field in dataclasses.fields(value) if not _unused(field, value)]
        return {field.name: plain(getattr(value, field.name)) for field in fields}
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def _unused(field: "dataclasses.Field[Any]", entry: Any) -> bool:
    return LATER.items() <= field.metadata.items() and getattr(entry, field.name) == field.default


def write(path: Path, entry: Any) -> str:
    """Write a dataclass, atomically, with its checksum; return the checksum."""
    value = {"format": FORMAT, **plain(entry)}
    checksum = digest(value)
    write_json(path, {"sha256": checksum, **value})
    return checksum


def read(
    path: Path, cls: type[Entry], check: Callable[[Entry, str], None], remedy: str, missing: str
) -> tuple[Entry, str]:
    """Return the dataclass of a sealed file and its checksum.

    check: refuses (InvalidInput) values out of range; it gets the file's name. NotFound (reason
    `missing`) where there is no file, Mismatch unless it is whole and sound, each with the remedy.
    """
    try:
        values = read_json(path, dict)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"{path} does not exist: {remedy}.", reason=missing) from None
    except BadJson as error:
        raise refuse(f"{path} cannot be used ({error.why}): {remedy}.") from None
    checksum = values.pop("sha256", None)
    if values.get("format") != FORMAT:
        raise refuse(f"{path} has format {values.get('format')!r}, this program reads {FORMAT}: {remedy}.")
    if digest(values) != checksum:
        raise refuse(f"{path} does not have the checksum it gives: {remedy}.")
    values.pop("format")
    try:
        entry = filled(cls, values, str(path))
        check(entry, str(path))
    except InvalidInput as error:
        raise refuse(f"{str(error).rstrip('.')}: {remedy}.") from None
    return entry, str(checksum)
