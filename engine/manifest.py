"""A generation's manifest: what must agree, and the checksum of every file.

    COLLECTION/CURRENT                       the id of the generation that is served
    COLLECTION/generations/<id>/manifest.json

A generation is immutable and content-addressed: its id, and its directory's name, is a hash of the manifest,
which holds all settings and the checksum of every file. Processes that agree on the id agree on all of it. A
process reads the manifest, verifies the checksums of the files it opens (verification.py), and refuses with
the reason when anything differs.
"""

import dataclasses
import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.entries import (
    EncoderEntry,
    FileEntry,
    Manifest,
    ModelEntry,
    SearchEntry,
    ShardEntry,
    StreamEntry,
    check_values,
    refuse,
)
from engine.errors import InvalidInput, NotFound
from engine.files import BadJson, read_json, read_name, replacing, write_json
from engine.values import filled
from engine.verification import describe_files, verify

__all__ = [
    "EncoderEntry",
    "FileEntry",
    "Manifest",
    "ModelEntry",
    "SearchEntry",
    "ShardEntry",
    "StreamEntry",
    "activate",
    "current",
    "describe_files",
    "embedding_model",
    "generation_dir",
    "identify",
    "model_path",
    "read",
    "verify",
    "write",
]

_log = logging.getLogger("spr.manifest")
FORMAT = 2
MANIFEST = "manifest.json"
CURRENT = "CURRENT"
GENERATIONS = "generations"


def embedding_model(encoder: str, projector: str | None) -> str:
    """Name the embedding space by the fingerprints of the models that make it."""
    return f"{encoder}/{projector or 'mean-pool'}"


def identify(manifest: Manifest) -> str:
    """Return the id: 16 hex digits of a hash over the manifest, without times."""
    value = dataclasses.asdict(manifest)
    value.pop("id")
    value.pop("created")
    if manifest.search is not None:
        value["search"].pop("milliseconds")
    return _digest(value)[:16]


def write(generation: Path, manifest: Manifest) -> Manifest:
    """Write the manifest, atomically, the last file of a generation; return it with its id.

    The caller gives the directory the id as its name.
    """
    named = dataclasses.replace(manifest, id=identify(manifest))
    value = {"format": FORMAT, **dataclasses.asdict(named)}
    write_json(generation / MANIFEST, {"sha256": _digest(value), **value})
    return named


def read(generation: Path) -> Manifest:
    """Read a generation's manifest; NotFound or Mismatch says what is wrong with it."""
    path = generation / MANIFEST
    try:
        value = read_json(path, dict)
    except (FileNotFoundError, NotADirectoryError):
        message = f"{path} does not exist: name a finished generation or run `spr build`."
        raise NotFound(message, reason="GENERATION_NOT_FOUND") from None
    except BadJson as error:
        raise refuse(f"{path} cannot be used ({error.why}): build the generation again.") from None
    manifest = _parse(path, value)
    name = generation.resolve().name
    if manifest.id != name:
        raise refuse(f"{path} is of generation {manifest.id!r}, not {name!r}: build the generation again.")
    return manifest


def _parse(path: Path, value: dict[str, Any]) -> Manifest:
    version, checksum = value.get("format"), value.pop("sha256", None)
    if version not in (1, FORMAT):
        raise refuse(
            f"{path} has format {version!r}, this version reads {FORMAT}: build the generation again."
        )
    if version == 1:
        # Its ids were hashes of the sources.
        _log.warning("%s has format 1, without a checksum: damage goes unnoticed; run `spr build`", path)
    if version != 1 and _digest(value) != checksum:
        raise refuse(f"{path} does not have the checksum it gives: copy it again or run `spr build`.")
    value.pop("format")
    try:
        manifest = filled(Manifest, value, str(path))
        check_values(manifest, str(path))
    except InvalidInput as error:
        raise refuse(f"{str(error).rstrip('.')}: build the generation again.") from None
    if version != 1 and identify(manifest) != manifest.id:
        raise refuse(f"{path} does not have the id of its content: build the generation again.")
    return manifest


def _digest(value: Mapping[str, Any]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def generation_dir(collection: Path, generation: str = "") -> Path:
    """Return the directory of a generation; the current one when none is named."""
    if not generation:
        return current(collection)
    if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z_.-]*", generation):
        raise NotFound(f"'{generation}' is no generation id.", reason="GENERATION_NOT_FOUND")
    path = collection / GENERATIONS / generation
    if not path.is_dir():
        message = f"Collection {collection} has no generation '{generation}': run `spr build {collection}`."
        raise NotFound(message, reason="GENERATION_NOT_FOUND")
    return path


def current(collection: Path) -> Path:
    """Return the directory of the generation that CURRENT names."""
    try:
        name = read_name(collection / CURRENT)
    except (FileNotFoundError, NotADirectoryError):
        message = f"Collection {collection} has no active generation: run `spr build {collection}`."
        raise NotFound(message, reason="GENERATION_NOT_FOUND") from None
    return generation_dir(collection, name)


def activate(collection: Path, generation: str) -> None:
    """Make a finished generation the current one, by an atomic rename."""
    read(generation_dir(collection, generation))
    with replacing(collection / CURRENT) as partial:
        partial.write_text(generation + "\n", encoding="utf-8")


def model_path(generation: Path, entry: ModelEntry | EncoderEntry) -> Path:
    """Return a model's directory: absolute, or relative to the generation's collection."""
    path = entry.path if isinstance(entry, ModelEntry) else entry.path or entry.source
    return generation.resolve().parent.parent / path
