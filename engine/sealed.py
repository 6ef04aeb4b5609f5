"""JSON files that carry their own checksum: part.json and versions/N.json."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.entries import refuse
from engine.files import BadJson, read_json, write_json

FORMAT = 3


def digest(value: Mapping[str, Any]) -> str:
    """Return the SHA-256, in hex, of a value as canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def write(path: Path, entry: Any) -> str:
    """Write a dataclass, atomically, with its checksum; return the checksum."""
    value = {"format": FORMAT, **dataclasses.asdict(entry)}
    checksum = digest(value)
    write_json(path, {"sha256": checksum, **value})
    return checksum


def read(path: Path, remedy: str) -> tuple[dict[str, Any], str]:
    """Return the values of a sealed file and its checksum; Mismatch unless it is whole, with the remedy.

    FileNotFoundError where it is not there.
    """
    try:
        value = read_json(path, dict)
    except BadJson as error:
        raise refuse(f"{path} cannot be used ({error.why}): {remedy}.") from None
    checksum = value.pop("sha256", None)
    if value.get("format") != FORMAT:
        raise refuse(f"{path} has format {value.get('format')!r}, this program reads {FORMAT}: {remedy}.")
    if digest(value) != checksum:
        raise refuse(f"{path} does not have the checksum it gives: {remedy}.")
    value.pop("format")
    return value, str(checksum)
