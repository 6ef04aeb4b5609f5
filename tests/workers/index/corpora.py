"""Collections of segment vectors alone, cut into parts as a test wants them."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from engine import parts, versions
from engine.catalogue import PartCatalogue
from engine.corpus import PartOfVersion, open_corpus
from engine.entries import EncoderEntry, PartEntry, ShardEntry, TextsEntry, Version, runs_of
from engine.staging import staged
from engine.types import Floats
from tests import plain
from tests.workers.index.factories import clustered
from workers.index.files import code_of
from workers.index.part import DIRECTORY, INDEX, VERSION, IndexPart
from workers.index.training import Template

MODEL = "e0e0e0e0e0e0e0e0/mean-pool"
Videos = Mapping[str, Floats]


def videos(count: int, dim: int = 32, segments: int = 6, seed: int = 0) -> dict[str, Floats]:
    """Videos of 1 to `segments` segments, by ids whose order is not that in which they come."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, segments + 1, count)
    vectors = clustered(int(counts.sum()), dim, seed)
    vectors = vectors[rng.permutation(len(vectors))]
    names = [f"video {name:05d}" for name in rng.permutation(count)]
    return dict(zip(names, np.split(vectors, np.cumsum(counts)[:-1]), strict=True))


def rows_of(chosen: Videos) -> tuple[Floats, np.ndarray, np.ndarray]:
    """Vectors in the order of ids, number of each row's video, and its segment."""
    ids = sorted(chosen)
    counts = [len(chosen[name]) for name in ids]
    numbers = np.repeat(np.arange(len(ids)), counts).astype(np.int32)
    segments = np.concatenate([np.arange(count) for count in counts]).astype(np.int32)
    return np.concatenate([chosen[name] for name in ids]), numbers, segments


class WritesTexts(Protocol):
    """Writes what is said in the videos of a part."""

    def write(self, building: Path, videos: Videos, /) -> None: ...


def write_part(
    collection: Path, chosen: Videos, template: Template, trained: Template, texts: WritesTexts | None = None
) -> PartEntry:
    """Write a part of some videos from `template`; trained: the collection's own."""
    vectors, numbers, segments = rows_of(chosen)
    ids = sorted(chosen)
    counts = np.asarray([len(chosen[name]) for name in ids], np.int32)
    with staged(collection) as staging:
        index = IndexPart.build(template, [vectors], numbers, segments)
        index.save(staging.path / DIRECTORY)
        if texts is not None:
            texts.write(staging.path, chosen)
        PartCatalogue(ids, [""] * len(ids), 4 * counts.astype(np.float64), counts).write(staging.path)
        about = plain.part(
            embedding_model=MODEL,
            dim=vectors.shape[1],
            factory="any",
            code=code_of(staging.path / DIRECTORY / INDEX),
            faiss=VERSION,
            quantizer_sha256=trained.sha256,
            videos=len(ids),
            segments=len(vectors),
        )
        staging.id = parts.seal(staging.path, about).id
    return parts.entry_of(collection, staging.id)


def without(collection: Path, entry: PartEntry, gone: Sequence[str]) -> PartEntry:
    """The part with those of the videos deleted that it holds."""
    ids = PartCatalogue.open(parts.directory(collection, entry.id)).ids
    return dataclasses.replace(entry, deleted=runs_of(ids.index(name) for name in gone if name in ids))


def commit(
    collection: Path,
    shards: Sequence[Sequence[PartEntry]],
    trained: Template,
    dim: int = 32,
    name: str = "tiny",
    texts: TextsEntry | None = None,
) -> Version:
    """Write a version of these parts a shard, and make it the current one."""
    entries = []
    for number, listed in enumerate(shards):
        living, segments = 0, 0
        for entry in listed:
            counts = PartCatalogue.open(parts.directory(collection, entry.id)).segments
            counts = np.delete(counts, entry.deleted_videos())
            living, segments = living + len(counts), segments + int(counts.sum())
        entries.append(ShardEntry(f"shard-{number:05d}", living, segments, tuple(listed)))
    version = plain.version(
        collection=name,
        encoder=EncoderEntry("tiny", "e0e0e0e0e0e0e0e0"),
        embedding_model=MODEL,
        dim=dim,
        factory="any",
        quantizer_sha256=trained.sha256,
        shards=tuple(entries),
        texts=texts,
    )
    trained.save(collection)
    (collection / "collection.json").write_text(json.dumps({"name": name, "format": 1}))
    made = versions.commit(collection, version)
    versions.activate(collection, made.id)
    return made


def part_of(collection: Path, number: int = 0) -> PartOfVersion:
    """A part of the current version."""
    return open_corpus(collection).parts[number]


def file_of(collection: Path, name: str, number: int = 0) -> Path:
    """The path of an index file of a part of the current version, made writable."""
    path = part_of(collection, number).directory / DIRECTORY / name
    path.chmod(0o644)
    return path


def maps_of(collection: Path, part: PartEntry) -> int:
    """How many maps this process has of a part's vectors."""
    path = str((parts.directory(collection, part.id) / DIRECTORY / INDEX).resolve())
    return sum(line.endswith(path) for line in Path("/proc/self/maps").read_text().splitlines())
