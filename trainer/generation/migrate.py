"""Make a version of a generation, the format before, without building again: `spr migrate`.

A part a shard: index files are linked, what was numbered over all shards is numbered anew. Nothing of the old
is changed, nor removed before the version is current. The same command goes on after a kill.
"""

import contextlib
import dataclasses
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine import parts, versions
from engine.config import shard_name
from engine.entries import Part, PartEntry, ShardEntry, Version
from engine.errors import NotFound, SprError, Unavailable
from engine.files import read_name, refusal
from engine.staging import check_room, staged, sweep
from engine.version_lock import only_writer
from trainer.generation import legacy
from trainer.generation.kit import OnProgress
from trainer.generation.legacy import Manifest
from trainer.generation.part import nothing, write_said
from trainer.generation.records import write_known
from trainer.generation.splitting import said, write_contexts, write_index
from workers.index.files import INDEX, code_of, read_emptied
from workers.index.part import DIRECTORY
from workers.index.training import Template
from workers.ranker.stores.contexts import EncodedStore


@dataclass(frozen=True, slots=True)
class Migration:
    """What `migrate` did: the version, whether it is new, whether the old files are gone, remarks."""

    id: str
    number: int
    videos: int
    parts: list[str]
    migrated: bool
    removed: bool
    notes: list[str]
    seconds: float


def migrate(collection: Path, *, keep_old: bool = False, on_progress: OnProgress = nothing) -> Migration:
    """Make the current generation of `collection` a version, and make that current; nothing where it is one.

    keep_old: leave generations/ as it is, else it is removed at the end. NotFound or Mismatch say what is
    wrong with the generation; then everything is as it was.
    """
    began = time.monotonic()
    try:
        with only_writer(collection, "migration"):
            sweep(collection)
            old = _generation(collection)
            about = versions.read(collection) if old is None else _make(collection, old, on_progress)
            versions.activate(collection, about.id)
            removed, notes = (False, []) if keep_old else _remove_old(collection)
    except OSError as error:
        raise refusal(error, None if error.filename else collection) from error
    listed = [entry.id for entry in about.parts]
    seconds = round(time.monotonic() - began, 3)
    return Migration(about.id, about.number, about.videos, listed, old is not None, removed, notes, seconds)


def _generation(collection: Path) -> Path | None:
    """Return the directory of the current generation; None where a version is current."""
    try:
        versions.current(collection)
    except NotFound as error:
        if error.reason != versions.FORMAT_OLD:
            raise
        return collection / versions.LEGACY / read_name(collection / versions.CURRENT)
    return None


def _make(collection: Path, generation: Path, on_progress: OnProgress) -> Version:
    about = legacy.read(generation)
    catalogue, shards = legacy.catalogue(generation)
    check_room(collection, sum(entry.bytes for name, entry in about.files.items() if "/" in name))
    template = _template(generation, about)
    mean = said(generation, about)
    entries = []
    for number, shard in enumerate(about.shards):
        on_progress("migrate", number, len(about.shards))
        numbers = np.flatnonzero(shards == number).astype(np.int32)
        with staged(collection) as staging:
            write_index(staging.path / DIRECTORY, generation / shard.name, numbers)
            if mean is not None:
                write_said(staging.path, mean)
            write_contexts(staging.path, generation, numbers, whole=len(about.shards) == 1)
            mine = catalogue.of(numbers)
            mine.write(staging.path)
            write_known(staging.path, collection / "features" / about.encoder.fingerprint, mine.ids)
            counts = len(mine), int(mine.segments.sum())
            staging.id = parts.seal(staging.path, _part(staging.path, about, template, counts)).id
        entries.append(parts.entry_of(collection, staging.id))
    on_progress("migrate", len(about.shards), len(about.shards))
    if template is not None:
        template.save(collection)
    return _commit(collection, _version(collection, about, template, entries))


def _template(generation: Path, about: Manifest) -> Template | None:
    """Return the trained, empty index of a generation; None where memory cannot hold the filled one."""
    smallest = min(about.shards, key=lambda shard: shard.segments)
    try:
        return Template(read_emptied(generation / smallest.name))
    except Unavailable:
        return None


def _part(building: Path, about: Manifest, template: Template | None, counts: tuple[int, int]) -> Part:
    ranker, dtype = _stored(about, building)
    return Part(
        id="",
        embedding_model=about.embedding_model,
        dim=about.dim,
        segment_length=about.segment_length,
        factory=about.factory,
        code=code_of(building / DIRECTORY / INDEX),
        faiss="",
        quantizer_sha256=template.sha256 if template else about.quantizer_sha256,
        ranker=ranker,
        contexts=dtype,
        videos=counts[0],
        segments=counts[1],
        streams=dict(about.streams),
        files={},
    )


def _stored(about: Manifest, part: Path) -> tuple[str, str]:
    """Return whose contexts a part stores, and their type; both "" where its ranker stores none."""
    if about.ranker is None or not EncodedStore.there(part):
        return "", ""
    return about.ranker.fingerprint, EncodedStore.open(part).dtype


def _version(
    collection: Path, about: Manifest, template: Template | None, entries: list[PartEntry]
) -> Version:
    shards = tuple(
        ShardEntry(shard_name(number), entry.videos, entry.segments, (entry,))
        for number, entry in enumerate(entries)
    )
    taken = {field.name for field in dataclasses.fields(Version)} & {
        field.name for field in dataclasses.fields(Manifest)
    }
    same = {name: getattr(about, name) for name in taken}
    first, _ = parts.read(collection, entries[0].id)
    changed = {
        "id": "",
        "number": 0,
        "parent": "",
        "reason": "migrate",
        "shards": shards,
        "sources": "",
        "contexts": first.contexts,
        "quantizer_sha256": template.sha256 if template else about.quantizer_sha256,
        "settings": {"shards": len(shards), **about.settings},
    }
    return Version(**{**same, **changed})


def _commit(collection: Path, made: Version) -> Version:
    """Commit the version, unless a killed migration did."""
    for number in versions.numbers(collection):
        with contextlib.suppress(SprError):
            about = versions.read(collection, str(number))
            if (about.reason, about.shards) == (made.reason, made.shards):
                return about
    return versions.commit(collection, made)


def _remove_old(collection: Path) -> tuple[bool, list[str]]:
    """Remove generations/, unless a process of before serves one."""
    home = collection / versions.LEGACY
    for left in collection.glob(f".{versions.LEGACY}-removed-*"):
        shutil.rmtree(left)
    if not home.is_dir():
        return False, []
    for path in sorted(home.iterdir()):
        if path.is_dir():
            with _unused(path) as free:
                if not free:
                    return False, [f"{path} is still served, so {home} was left: run the same command later"]
    trash = home.with_name(f".{home.name}-removed-{os.getpid()}")
    home.rename(trash)
    shutil.rmtree(trash)
    return True, []


@contextlib.contextmanager
def _unused(generation: Path) -> Iterator[bool]:
    """Tell whether no process holds a generation's lock, as those of before do while they serve it."""
    number = os.open(generation, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(number)
