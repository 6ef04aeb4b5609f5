"""A generation's manifest: what must agree, and the checksum of every file.

    COLLECTION/CURRENT                       the id of the generation that is served
    COLLECTION/generations/<id>/manifest.json

A generation is immutable. Whoever opens one reads the manifest, verifies the files it is about to use,
and refuses with the reason when anything differs.
"""

import dataclasses
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import Mismatch, NotFound
from engine.files import read_json, replacing, sha256, write_json

FORMAT = 1
MANIFEST = "manifest.json"
CURRENT = "CURRENT"
GENERATIONS = "generations"


@dataclass(frozen=True, slots=True)
class EncoderEntry:
    """The encoder the features came from: its hub name or directory, and its fingerprint."""

    source: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A trained model: its directory (relative to the collection when inside it) and its fingerprint."""

    path: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ShardEntry:
    """One shard: the name of its directory and what it holds."""

    name: str
    videos: int
    segments: int


@dataclass(frozen=True, slots=True)
class StreamEntry:
    """One feature stream of the ranker's context: row width, seconds a row, element type."""

    dim: int
    step: float
    dtype: str


@dataclass(frozen=True, slots=True)
class SearchEntry:
    """What the index was measured to find when it was built.

    recall: share of the `depth` nearest segments of a query. queries: how many were asked, `real` of them the
    collection's own, the others segments disturbed. factor: candidates a hit scored anew, nprobe: lists
    visited, 0 where there are none. milliseconds: median of one query on one thread, over the largest shard.
    """

    recall: float
    depth: int
    queries: int
    real: int
    factor: int
    nprobe: int
    milliseconds: float


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What a file must be."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything that must agree before a generation is served; segment_length in seconds."""

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

    def files_of(self, folder: str) -> list[str]:
        """Return the files below a folder of the generation ("shard-00000", "context")."""
        return sorted(name for name in self.files if name.startswith(f"{folder}/"))


def embedding_model(encoder: str, projector: str | None) -> str:
    """Name the space of the segment vectors by the fingerprints of what makes them."""
    return f"{encoder}/{projector or 'mean-pool'}"


def write(generation: Path, manifest: Manifest) -> None:
    """Write the manifest, atomically; the last file of a generation."""
    write_json(generation / MANIFEST, {"format": FORMAT, **dataclasses.asdict(manifest)})


def read(generation: Path) -> Manifest:
    """Read a generation's manifest; NotFound or Mismatch says what is wrong with it."""
    path = generation / MANIFEST
    try:
        value = read_json(path)
    except FileNotFoundError:
        message = f"{path} does not exist: name a finished generation or run `spr build`."
        raise NotFound(message, reason="GENERATION_NOT_FOUND") from None
    except ValueError as error:
        raise _refuse(f"{path} is not JSON ({error}): build the generation again.") from None
    try:
        return _parse(path, value)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise _refuse(f"{path} lacks or garbles a field ({error}): build the generation again.") from None


def _parse(path: Path, value: dict[str, Any]) -> Manifest:
    version = value.pop("format")
    if version != FORMAT:
        raise _refuse(
            f"{path} has format {version}, this version reads {FORMAT}: build the generation again."
        )
    return Manifest(
        **value
        | {
            "encoder": EncoderEntry(**value["encoder"]),
            "projector": ModelEntry(**value["projector"]) if value["projector"] else None,
            "ranker": ModelEntry(**value["ranker"]) if value["ranker"] else None,
            "shards": tuple(ShardEntry(**shard) for shard in value["shards"]),
            "search": SearchEntry(**value["search"]) if value.get("search") else None,
            "streams": {name: StreamEntry(**stream) for name, stream in value["streams"].items()},
            "files": {name: FileEntry(**entry) for name, entry in value["files"].items()},
        }
    )


def describe_files(generation: Path, names: Collection[str]) -> dict[str, FileEntry]:
    """Return size and checksum of files, named relative to the generation, in name order."""
    paths = {name: generation / name for name in sorted(names)}
    return {name: FileEntry(sha256(path), path.stat().st_size) for name, path in paths.items()}


def verify(
    generation: Path,
    manifest: Manifest,
    files: Collection[str] | None = None,
    unread: Collection[str] = (),
) -> None:
    """Refuse (Mismatch) unless the named files are what the manifest says: sizes first, then checksums.

    `files` defaults to all of them; a process verifies the files it serves from. Of `unread` files, named
    likewise, the size is enough: reading them would cost more than opening.
    """
    names = sorted(manifest.files if files is None else files)
    for name in names:
        _verify_size(generation / name, manifest.files.get(name))
    for name in (name for name in names if name not in unread):
        found, wanted = sha256(generation / name), manifest.files[name].sha256
        if found != wanted:
            message = f"{generation / name} has SHA-256 {found[:12]}..., the manifest says {wanted[:12]}...: "
            raise _refuse(message + "copy it again or run `spr build`.")


def _verify_size(path: Path, entry: FileEntry | None) -> None:
    if entry is None:
        raise _refuse(f"{path} is not in the manifest: build the generation again.")
    if not path.is_file():
        raise _refuse(f"{path} is missing: copy it again or run `spr build`.")
    size = path.stat().st_size
    if size != entry.bytes:
        message = f"{path} has {size} bytes, the manifest says {entry.bytes}: "
        raise _refuse(message + "copy it again or run `spr build`.")


def _refuse(message: str) -> Mismatch:
    return Mismatch(message, reason="GENERATION_CORRUPT")


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
        name = (collection / CURRENT).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        message = f"Collection {collection} has no active generation: run `spr build {collection}`."
        raise NotFound(message, reason="GENERATION_NOT_FOUND") from None
    if not name:
        message = f"{collection / CURRENT} is empty: run `spr build {collection}`."
        raise NotFound(message, reason="GENERATION_NOT_FOUND")
    return generation_dir(collection, name)


def activate(collection: Path, generation: str) -> None:
    """Make a finished generation the current one, by an atomic rename."""
    read(generation_dir(collection, generation))
    with replacing(collection / CURRENT) as partial:
        partial.write_text(generation + "\n", encoding="utf-8")


def model_path(generation: Path, entry: ModelEntry | EncoderEntry) -> Path:
    """Return a model's directory: absolute, or relative to the generation's collection."""
    path = entry.path if isinstance(entry, ModelEntry) else entry.source
    return generation.resolve().parent.parent / path
