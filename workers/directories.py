"""Which of a worker's collections is meant by a name."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

from engine import versions
from engine.errors import NotFound, SprError, quoted
from engine.files import BadJson, read_json


def directory_of(directories: Sequence[Path], collection: str, version: str) -> Path:
    """Return the directory of a collection that has a version by its name, the first one for "".

    Versions from before a collection was renamed have the former name, which may be another's by now; that
    of this name goes first, for a copy that was renamed has the other's versions.
    """
    if not collection and directories:
        return directories[0]
    names = {directory: _names(directory) for directory in directories}
    for directory in sorted(directories, key=lambda directory: collection not in names[directory]):
        with contextlib.suppress(SprError):
            if version and versions.read(directory, version).collection == collection:
                return directory
    for directory in directories:
        if collection in names[directory]:
            return directory
    there = ", ".join(sorted(set().union(*names.values())))
    message = f"this worker serves no collection {quoted(collection)}, only {there}: "
    raise NotFound(message + "write it into the topology and restart the worker.", "COLLECTION_NOT_FOUND")


def _names(directory: Path) -> set[str]:
    """Return what a collection is called: by its description, and by its current version."""
    found = set()
    with contextlib.suppress(BadJson, OSError, SprError):
        found.add(str(read_json(directory / "collection.json", dict).get("name", "")))
    with contextlib.suppress(SprError):
        found.add(versions.read(directory).collection)
    return (found - {""}) or {directory.resolve().name}
