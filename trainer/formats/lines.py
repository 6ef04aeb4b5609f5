"""JSON lines: one object a line, read one line at a time.

A line ends at a line feed and nowhere else, so sentences may hold any other character, U+2028 and U+0085
too. UTF-8, -16 or -32 with a byte order mark or without, as editors and shells save it.
"""

import json
import reprlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, NotFound
from engine.files import json_value


def read_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield ("FILE: line N", object) of every line that is not blank.

    NotFound for a missing file; InvalidInput names the line that is no object, or the encoding.
    """
    try:
        with path.open(encoding=_encoding(path), newline="\n") as file:
            for number, text in enumerate(file, start=1):
                # Files put together have a byte order mark where each began.
                line = text.lstrip("\ufeff")
                if line.strip():
                    yield f"{path}: line {number}", _object(line, f"{path}: line {number}")
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist; name a file of JSON lines.") from error
    except UnicodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text; save it as UTF-8 and try again.") from error


def _encoding(path: Path) -> str:
    with path.open("rb") as file:
        return json.detect_encoding(file.read(4))


def _object(line: str, where: str) -> dict[str, Any]:
    try:
        value = json_value(line, object_pairs_hook=_once_each)
    except RecursionError as error:
        raise InvalidInput(f"{where} is nested too deeply; write one flat object a line.") from error
    except ValueError as error:
        # Of a parser's places the column alone is one of the file.
        why = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else error
        raise InvalidInput(f"{where} is not JSON: {why}; write one object a line.") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is no object; write one object a line.")
    return value


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object; ValueError where it has a name twice, for one of the two values would be lost."""
    value: dict[str, Any] = {}
    for name, each in pairs:
        if name in value:
            raise ValueError(f"it has {reprlib.repr(name)} twice")
        value[name] = each
    return value
