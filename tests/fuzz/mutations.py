"""Changes of a good file: of its bytes, of a value in its JSON, of a value in its TOML."""

import json
import random
import re
from typing import Any

from tests.system.random_messages import mutate

# As they stand in a file; some are no JSON.
VALUES = [
    "null",
    "true",
    "0",
    "-1",
    "0.5",
    "1e999",
    "-1e999",
    "1e308",
    "NaN",
    "9223372036854775808",
    "1" + "0" * 400,
    "9" * 5000,
    '""',
    '"x"',
    '"7"',
    '"../x"',
    '"\\u0000"',
    '"\\ud800"',
    '"' + "y" * 3000 + '"',
    "[]",
    "{}",
    "[[]]",
    '{"a": 1}',
    "[1, 2]",
    "[" * 3000 + "]" * 3000,
]
_SETTING = re.compile(rb"(?m)^([^=\n]{1,60}) = [^\n]*")
_HOLE = "a hole to fill"


def changed(chance: random.Random, data: bytes, head: int = 0) -> bytes:
    """Return an input with something else in it. head: bytes at the beginning that are not the file's."""
    kept, content = data[:head], data[head:]
    if kept and chance.random() < 0.2:
        kept = chance.randbytes(head)
    kind = chance.random()
    if kind < 0.4 and (other := _json(chance, content)) is not None:
        return kept + other
    if kind < 0.6 and (settings := list(_SETTING.finditer(content))):
        one = chance.choice(settings)
        value = chance.choice(VALUES).encode()
        return kept + content[: one.start()] + one[1] + b" = " + value + content[one.end() :]
    return kept + mutate(chance, content)


def _json(chance: random.Random, content: bytes) -> bytes | None:
    """Return a file of JSON, or of JSON lines, with one value changed; None for another file."""
    lines = content.splitlines(keepends=True)
    try:
        value = json.loads(content)
        return _filled(chance, value)
    except (ValueError, RecursionError):
        pass
    for row in chance.sample(range(len(lines)), min(3, len(lines))):
        try:
            lines[row] = _filled(chance, json.loads(lines[row])) + b"\n"
        except (ValueError, RecursionError):
            continue
        return b"".join(lines)
    return None


def _filled(chance: random.Random, value: Any) -> bytes:
    places = list(_places(value))
    if not places:
        return chance.choice(VALUES).encode()
    holder, key = chance.choice(places)
    if chance.random() < 0.15:
        del holder[key]
    else:
        holder[key] = _HOLE
    text = json.dumps(value)
    return text.replace(f'"{_HOLE}"', chance.choice(VALUES)).encode()


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Return (container, key) of every value inside a JSON value."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting and len(found) < 2000:
        one = waiting.pop()
        keys = list(one) if isinstance(one, dict) else list(range(len(one))) if isinstance(one, list) else []
        found += [(one, key) for key in keys]
        waiting += [one[key] for key in keys]
    return found
