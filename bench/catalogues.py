"""A version of very many videos: catalogues and part.json alone, as the coordinator reads them."""

import dataclasses
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.timing import Laps, laps
from engine import parts, versions
from engine.catalogue import PartCatalogue
from engine.corpus import Known, open_corpus
from engine.entries import Part, PartEntry, ShardEntry, Version, runs_of
from engine.staging import staged
from engine.version_lock import only_writer

_PARTS = 4
_DELETED = 0.01


@dataclass(frozen=True, slots=True)
class Written:
    """What it took. written, read: milliseconds of the version's file, synced. size: its bytes.

    opened, again: milliseconds to open the version for the first time, and with its parts known.
    """

    written: Laps
    read: Laps
    size: int
    opened: float
    again: Laps


def measure(folder: Path, collection: Path, videos: int, runs: int) -> Written:
    """Write a version of so many videos in a few parts, a hundredth of them deleted; open it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    built = versions.read(collection)
    about, _ = parts.read(collection, built.parts[0].id)
    with only_writer(folder):
        entries = [_part(folder, about, number, videos // _PARTS) for number in range(_PARTS)]
        shards = (_shard("shard-00000", entries[::2]), _shard("shard-00001", entries[1::2]))
        version = versions.with_shards(built, shards, "add")
        made: list[Version] = []
        written = laps(lambda _: made.append(versions.commit(folder, version)), runs)
    name = made[-1].id
    began = time.perf_counter()
    known: Known = {}
    open_corpus(folder, name, known)
    opened = 1000 * (time.perf_counter() - began)
    return Written(
        written,
        laps(lambda _: versions.read(folder, name), runs),
        versions.path_of(folder, name).stat().st_size,
        opened,
        laps(lambda _: open_corpus(folder, name, known), max(2, runs // 4), warm=1),
    )


def _part(folder: Path, about: Part, number: int, count: int) -> tuple[PartEntry, int]:
    """Write a part with nothing but a catalogue, some videos deleted; return it and their segments."""
    rng = np.random.default_rng([number, 31])
    # Parts of one collection interleave.
    ids = [f"video_{_PARTS * place + number:09}" for place in range(count)]
    segments = rng.integers(1, 40, count).astype(np.int32)
    uris = [f"file:///videos/{name}.mp4" for name in ids]
    with staged(folder) as staging:
        PartCatalogue(ids, uris, segments * np.float64(4), segments).write(staging.path)
        made = dataclasses.replace(about, videos=count, segments=int(segments.sum()))
        staging.id = parts.seal(staging.path, made).id
    deleted = rng.choice(count, round(_DELETED * count), replace=False)
    entry = parts.entry_of(folder, staging.id)
    gone = int(segments[deleted].sum())
    return dataclasses.replace(entry, deleted=runs_of(deleted.tolist())), gone


def _shard(name: str, entries: list[tuple[PartEntry, int]]) -> ShardEntry:
    videos = sum(part.videos - sum(part.deleted[1::2]) for part, _ in entries)
    segments = sum(part.segments - gone for part, gone in entries)
    return ShardEntry(name, videos, segments, tuple(part for part, _ in entries))
