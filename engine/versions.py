"""Versions: small immutable files that list the parts a collection consists of at one time.

    COLLECTION/CURRENT                  the id of the active version
    COLLECTION/versions/00000042.json   models, shards -> parts (and what is deleted of each), parent, reason

A version's id is its number and a hash of its content, "00000042-1f0c2a9b7d3e": processes that agree on the
id agree on all of it. `CURRENT` is replaced by an atomic rename. A video's ordinal in a version is its place
among the sorted ids of the version's living videos, however many parts there are: so the same videos give the
same answer however they came together.
"""

import dataclasses
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from engine import sealed
from engine.entries import EncoderEntry, ModelEntry, ShardEntry, Version, refuse
from engine.entry_checks import check_version
from engine.errors import NotFound, SprError, Unavailable, argument, quoted
from engine.files import make_folder, read_name, refusal, replacing, sync
from engine.partials import partial_of

CURRENT = "CURRENT"
VERSIONS = "versions"
LEGACY = "generations"
SENTENCES = "sentence encoder"
FORMAT_OLD = "FORMAT_OLD"
REMEDY = "copy it again, or roll back to another version"
_NAME = re.compile(r"([0-9]{8,18})\.json")
# A file's name has 255 bytes at most, and int() takes 4300 digits at most.
NUMBER = re.compile(r"[0-9]{1,18}")
_ID = re.compile(r"([0-9]{8,18})-[0-9a-f]{12}")


def embedding_model(encoder: str, projector: str | None, clip_encoder: str = "") -> str:
    """Name the embedding space by the fingerprints of the models that make it."""
    return f"{encoder}/{projector or (f'clips-{clip_encoder}' if clip_encoder else 'mean-pool')}"


def path_of(collection: Path, version: str) -> Path:
    """Return the file of a version; NotFound for a name that is no version's."""
    match = _ID.fullmatch(version)
    if match is None:
        raise NotFound(f"{quoted(version)} is no id of a version.", reason="GENERATION_NOT_FOUND")
    return collection / VERSIONS / f"{match[1]}.json"


def current(collection: Path) -> str:
    """Return the id of the version that CURRENT names; NotFound where there is none, with the remedy."""
    try:
        name = read_name(collection / CURRENT)
    except (FileNotFoundError, NotADirectoryError):
        message = f"Collection {collection} has no active version: run `spr build {argument(collection)}`."
        raise NotFound(message, reason="GENERATION_NOT_FOUND") from None
    if _ID.fullmatch(name) is not None:
        return name
    if (collection / LEGACY / name).is_dir():
        message = f"Collection {collection} is of an older format: run `spr migrate {argument(collection)}`."
        raise NotFound(message, reason=FORMAT_OLD)
    message = f"{collection / CURRENT} names {quoted(name)}, which is no id of a version: copy it again, "
    message += f"or run `spr build {argument(collection)}`."
    raise NotFound(message, reason="GENERATION_NOT_FOUND")


def resolve(collection: Path, version: str = "") -> str:
    """Return the full id of a version named by its id or its number; of the current one for "".

    NotFound with the versions that there are.
    """
    if not version:
        return current(collection)
    if NUMBER.fullmatch(version):
        path = collection / VERSIONS / f"{int(version):08d}.json"
        if path.exists():
            return _read(path).id
    elif _ID.fullmatch(version) and path_of(collection, version).is_file():
        return version
    there = ", ".join(str(number) for number in numbers(collection)) or "none"
    message = f"Collection {collection} has no version {quoted(version)}; there are: {there}."
    raise NotFound(message, reason="GENERATION_NOT_FOUND")


def numbers(collection: Path) -> list[int]:
    """Return the numbers of all versions, ascending."""
    found = [_NAME.fullmatch(path.name) for path in (collection / VERSIONS).glob("*.json")]
    return sorted(int(match[1]) for match in found if match)


def read(collection: Path, version: str = "") -> Version:
    """Read a version, the current one for ""; NotFound or Mismatch say what is wrong with it."""
    name = resolve(collection, version)
    path = path_of(collection, name)
    found = _read(path)
    if found.id != name:
        raise refuse(f"{path} is version {found.id}, not {name}: {REMEDY}.")
    return found


def _read(path: Path) -> Version:
    # The checksum cannot be in what it is of; neither can the id, which has it.
    found, checksum = sealed.read(path, Version, check_version, REMEDY, "GENERATION_NOT_FOUND")
    if f"{found.number:08d}.json" != path.name:
        raise refuse(f"{path} holds version number {found.number}: {REMEDY}.")
    return dataclasses.replace(found, id=f"{found.number:08d}-{checksum[:12]}")


def commit(collection: Path, version: Version) -> Version:
    """Write a version under the next number, synced; return it with id, number and time; activate nothing.

    The caller holds the writer's lock. Unavailable where another writer took the number.
    """
    folder = collection / VERSIONS
    make_folder(folder)
    number = max(numbers(collection), default=0) + 1
    created = datetime.now(UTC).isoformat(timespec="milliseconds")
    named = dataclasses.replace(version, id="", number=number, created=created)
    check_version(named, f"version {number}")
    path = folder / f"{number:08d}.json"
    partial = partial_of(path)
    checksum = sealed.write(partial, named)
    try:
        # A link, unlike a rename, fails where the name is taken: of two writers one wins.
        os.link(partial, path)
    except FileExistsError:
        message = f"{path} was written by another process just now: run the command again."
        raise Unavailable(message, "VERSION_TAKEN") from None
    finally:
        partial.unlink(missing_ok=True)
    sync(folder)
    return dataclasses.replace(named, id=f"{number:08d}-{checksum[:12]}")


def activate(collection: Path, version: str) -> None:
    """Make a version the current one, by an atomic rename; refused where it cannot be read or written."""
    read(collection, version)
    path = collection / CURRENT
    try:
        with replacing(path) as partial:
            partial.write_text(version + "\n", encoding="utf-8")
    except OSError as error:
        raise refusal(error, path) from error


def newest(collection: Path) -> str:
    """Return the version that CURRENT names now, empty if it names none."""
    try:
        return current(collection)
    except (SprError, OSError, ValueError):
        return ""


def with_shards(version: Version, shards: Iterable[ShardEntry], reason: str) -> Version:
    """Return the version that follows `version` with other shards, its counts summed, to be committed."""
    listed = tuple(shards)
    return dataclasses.replace(
        version,
        id="",
        parent=version.id,
        reason=reason,
        shards=listed,
        videos=sum(shard.videos for shard in listed),
        segments=sum(shard.segments for shard in listed),
        sources="",
    )


def models_of(version: Version) -> list[tuple[str, ModelEntry | EncoderEntry]]:
    """Return the kind and entry of every model that lies on disk; an encoder may be a hub's name alone."""
    sentences, clips = version.texts.encoder if version.texts is not None else None, version.clip_encoder
    entries: list[tuple[str, ModelEntry | EncoderEntry | None]] = [
        ("encoder", version.encoder if version.encoder.path else None),
        ("clip encoder", clips if clips is not None and clips.path else None),
        ("projector", version.projector),
        ("ranker", version.ranker),
        (SENTENCES, sentences if sentences is not None and sentences.path else None),
    ]
    return [(kind, entry) for kind, entry in entries if entry is not None]


def model_path(collection: Path, entry: ModelEntry | EncoderEntry) -> Path:
    """Return a model's directory: absolute, or relative to the collection."""
    path = entry.path if isinstance(entry, ModelEntry) else entry.path or entry.source
    return collection.resolve() / path
