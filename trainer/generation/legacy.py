"""Reads generations, the format before versions and parts, for `spr migrate` alone.

    COLLECTION/CURRENT                       the id of the generation
    COLLECTION/generations/<id>/manifest.json, catalog.sqlite, shard-<n>/, context/, encoded/

A generation numbers the videos of all its shards together. Format 2 seals the manifest; format 1 does not.
"""

import contextlib
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine import sealed
from engine.catalogue import CATALOGUE, PartCatalogue
from engine.entries import EncoderEntry, FileEntry, ModelEntry, SearchEntry, ShardEntry, StreamEntry, refuse
from engine.errors import InvalidInput, NotFound
from engine.files import BadJson, read_json
from engine.types import Ordinals
from engine.values import filled
from engine.verification import describe_files

MANIFEST = "manifest.json"
REMEDY = "copy the generation again, or remove CURRENT and run `spr build`"


@dataclass(frozen=True, slots=True)
class Manifest:
    """manifest.json of a generation, as `Version` and `Part` are today."""

    id: str
    created: str
    collection: str
    encoder: EncoderEntry
    projector: ModelEntry | None
    ranker: ModelEntry | None
    embedding_model: str
    dim: int
    segment_length: float
    factory: str
    quantizer_sha256: str
    videos: int
    segments: int
    shards: tuple[ShardEntry, ...]
    streams: Mapping[str, StreamEntry]
    files: Mapping[str, FileEntry]
    metric: str = "ip"
    search: SearchEntry | None = None
    sources: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


def read(generation: Path) -> Manifest:
    """Read a generation's manifest and verify every file; NotFound or Mismatch say what is wrong."""
    path = generation / MANIFEST
    try:
        value = read_json(path, dict)
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(f"{path} does not exist: {REMEDY}.", "GENERATION_NOT_FOUND") from None
    except BadJson as error:
        raise refuse(f"{path} cannot be used ({error.why}): {REMEDY}.") from None
    checksum = value.pop("sha256", None)
    if value.get("format") not in (1, 2):
        raise refuse(f"{path} has format {value.get('format')!r}, which nothing migrates: {REMEDY}.")
    if value.pop("format") == 2 and sealed.digest({"format": 2, **value}) != checksum:
        raise refuse(f"{path} does not have the checksum it gives: {REMEDY}.")
    try:
        manifest = filled(Manifest, value, str(path))
    except InvalidInput as error:
        raise refuse(f"{str(error).rstrip('.')}: {REMEDY}.") from None
    _verify(generation, manifest)
    return manifest


def _verify(generation: Path, manifest: Manifest) -> None:
    for name in manifest.files:
        if name.startswith("/") or ".." in name.split("/"):
            raise refuse(f"{generation / MANIFEST} names the file {name!r}, which is not in it: {REMEDY}.")
        if not (generation / name).is_file():
            raise refuse(f"{generation / name} is missing: {REMEDY}.")
    found = describe_files(generation, list(manifest.files))
    for name, entry in manifest.files.items():
        if found[name] != entry:
            raise refuse(f"{generation / name} is not what its manifest says: {REMEDY}.")


def catalogue(generation: Path) -> tuple[PartCatalogue, Ordinals]:
    """Return all videos of a generation, by ordinal, and the number of each one's shard (videos,)."""
    path = generation / CATALOGUE
    query = "select ordinal, id, uri, duration, segments, shard from videos order by ordinal"
    try:
        with contextlib.closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
            rows = database.execute(query).fetchall()
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise refuse(f"{path} cannot be read ({error}): {REMEDY}.") from None
    ordinals, ids, uris, durations, segments, shards = zip(*rows, strict=True) if rows else ((),) * 6
    if list(ordinals) != list(range(len(rows))) or list(ids) != sorted(set(ids)):
        raise refuse(f"{path} does not number its videos in the order of their ids: {REMEDY}.")
    columns = np.array(durations, np.float64), np.array(segments, np.int32)
    return PartCatalogue(list(ids), list(uris), *columns), np.array(shards, np.int32)
