"""What a collection is called, without loading what makes one."""

import contextlib
from pathlib import Path

from engine import versions
from engine.errors import SprError
from engine.files import BadJson, read_json


def name_of(collection: Path) -> str:
    """Return a collection's name in the API: its current version's, else its collection.json's."""
    with contextlib.suppress(SprError):
        return versions.read(collection).collection
    with contextlib.suppress(BadJson, OSError, SprError):
        if name := read_json(collection / "collection.json", dict).get("name"):
            return str(name)
    return collection.resolve().name
