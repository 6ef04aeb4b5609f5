"""Build a generation: segment vectors, shards, catalogue and the ranker's features, whole or not at all.

torch (by `trainer.generation.plan`) is loaded before FAISS, and nothing forks: any other order of their two
OpenMP runtimes in one process deadlocks or crashes.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import manifest
from engine.catalogue import CATALOGUE, Catalogue
from engine.config import shard_name
from engine.files import refusal, sync
from engine.manifest import Manifest, SearchEntry, ShardEntry, StreamEntry
from engine.types import Floats, Ordinals
from trainer.collection.segments import VideoRows, embed
from trainer.generation.check import check
from trainer.generation.config import BuildConfig
from trainer.generation.contexts import write_contexts
from trainer.generation.plan import Plan, make_plan
from trainer.generation.staging import check_room, find, only_builder, prune, staged
from workers.index.shard import IndexShard
from workers.index.training import Template, train
from workers.ranker.stores.features import DIRECTORY, write_context

__all__ = ["BuildConfig", "BuildReport", "build"]

OnProgress = Callable[[str, int, int], None]

_VECTORS = "vectors.f32"
_BLOCK = 16_384


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build made. search: what the index was measured to find, None in generations of before.

    missing: videos of the corpus file without features. contexts: how the ranker's are stored. bytes: of all
    files. seconds: the build took.
    """

    id: str
    directory: str
    reused: bool
    active: bool
    videos: int
    missing: int
    segments: int
    shards: int
    factory: str
    embedding_model: str
    ranker: str
    contexts: str
    dim: int
    search: SearchEntry | None
    bytes: int
    removed: list[str]
    notes: list[str]
    seconds: float


def build(config: BuildConfig, on_progress: OnProgress | None = None) -> BuildReport:
    """Build what `config` says, or find it built, and make it current.

    on_progress: called with (stage, done, total). A failed or killed build leaves everything as it was.
    """
    began = time.monotonic()
    try:
        plan = make_plan(config)
        with only_builder(config.collection) as generations:
            found = find(generations, plan.sources)
            about = found or _make(generations, config.collection, plan, on_progress or (lambda *_: None))
            if config.activate:
                manifest.activate(config.collection, about.id)
            removed, served = prune(config.collection, config.keep, about.id) if config.keep else ([], [])
    except OSError as error:
        raise refusal(error, error.filename or config.collection) from error
    kept = [f"generation {name} is still served, so --keep {config.keep} left it" for name in served]
    report = _report(config, plan, about, found is not None, removed, time.monotonic() - began)
    return replace(report, notes=[*report.notes, *kept])


def _make(generations: Path, collection: Path, plan: Plan, on_progress: OnProgress) -> Manifest:
    check_room(generations, plan.bytes)
    with staged(generations) as staging:
        about = _fill(staging.path, collection, plan, on_progress)
        staging.name = about.id
    return about


def _fill(building: Path, collection: Path, plan: Plan, on_progress: OnProgress) -> Manifest:
    """Write everything of a generation into `building`, the manifest last."""
    vectors = _embed(building / _VECTORS, plan, on_progress)
    device = {"cuda": "auto"}.get(plan.device.type, "cpu")
    template = train(plan.recipe, plan.dim, _sample(vectors, plan.recipe.sample, on_progress), device)
    shards = _write_shards(building, plan, vectors, template, on_progress)
    on_progress("check", 0, 1)
    search = check(building, collection, plan, vectors)
    on_progress("check", 1, 1)
    del vectors
    (building / _VECTORS).unlink()
    on_progress("context", 0, 1)
    write_context(building / DIRECTORY, plan.store, plan.ids)
    on_progress("context", 1, 1)
    if plan.ranker is not None and plan.contexts is not None:
        write_contexts(building, plan.ranker, plan.contexts, plan.device, on_progress)
    _catalogue(plan).write(building)
    sync(building / CATALOGUE)
    return _write_manifest(building, plan, shards, template.sha256, search)


def _embed(path: Path, plan: Plan, on_progress: OnProgress) -> Floats:
    """Write all segment vectors to a file and map it: (segments, dim)."""
    with path.open("wb") as file:
        # Writing to a sparse memory map on a full disk raises SIGBUS, which kills the process.
        os.posix_fallocate(file.fileno(), 0, 4 * plan.segments * plan.dim)
    vectors = np.memmap(path, np.float32, "r+", shape=(plan.segments, plan.dim))
    done = 0
    for block in embed(VideoRows.of_store(plan.store, plan.ids), plan.projector, plan.device):
        vectors[done : done + len(block)] = block
        done += len(block)
        on_progress("embed", done, plan.segments)
    return vectors


def _sample(vectors: Floats, size: int, on_progress: OnProgress) -> Floats:
    """Return `size` of the vectors to train on, the same ones every time."""
    on_progress("train", 0, 1)
    rows = np.sort(np.random.default_rng(0).choice(len(vectors), size, replace=False))
    return np.asarray(vectors[rows])


def _write_shards(
    building: Path, plan: Plan, vectors: Floats, template: Template, on_progress: OnProgress
) -> list[ShardEntry]:
    videos = np.repeat(np.arange(len(plan.ids), dtype=np.int32), plan.counts)
    segments = np.arange(plan.segments, dtype=np.int32) - np.repeat(_starts(plan), plan.counts)
    entries, done = [], 0
    on_progress("train", 1, 1)
    for number in range(int(plan.shards.max()) + 1):
        rows = np.flatnonzero(plan.shards[videos] == number)
        shard = IndexShard.build(template, _blocks(vectors, rows), videos[rows], segments[rows])
        shard.save(building / shard_name(number))
        count = int((plan.shards == number).sum())
        entries.append(ShardEntry(shard_name(number), count, len(rows)))
        done += len(rows)
        on_progress("index", done, plan.segments)
    return entries


def _blocks(vectors: Floats, rows: NDArray[np.int64]) -> Iterator[Floats]:
    for start in range(0, len(rows), _BLOCK):
        yield np.asarray(vectors[rows[start : start + _BLOCK]])


def _starts(plan: Plan) -> Ordinals:
    """Return (n,) the first row of each video among all vectors."""
    return np.asarray(np.cumsum(plan.counts) - plan.counts, np.int32)


def _catalogue(plan: Plan) -> Catalogue:
    records = [plan.store.record(video) for video in plan.ids]
    return Catalogue(
        ids=plan.ids,
        uris=[record.uri for record in records],
        durations=np.array([record.duration for record in records], np.float64),
        segments=plan.counts,
        shards=plan.shards,
    )


def _write_manifest(
    building: Path, plan: Plan, shards: list[ShardEntry], quantizer: str, search: SearchEntry
) -> Manifest:
    files = [str(path.relative_to(building)) for path in building.rglob("*") if path.is_file()]
    dtype = plan.store.dtype.name
    about = Manifest(
        id="",
        created=datetime.now(UTC).isoformat(timespec="milliseconds"),
        collection=plan.name,
        encoder=plan.encoder,
        projector=plan.projector_entry,
        ranker=plan.ranker_entry,
        embedding_model=plan.embedding_model,
        dim=plan.dim,
        segment_length=plan.segment_length,
        factory=plan.recipe.label,
        quantizer_sha256=quantizer,
        videos=len(plan.ids),
        segments=plan.segments,
        shards=tuple(shards),
        streams={name: StreamEntry(s.dim, s.step, dtype) for name, s in plan.store.streams.items()},
        files=manifest.describe_files(building, files),
        search=search,
        sources=plan.sources,
        settings=plan.settings,
    )
    return manifest.write(building, about)


def _report(
    config: BuildConfig,
    plan: Plan,
    about: Manifest,
    reused: bool,
    removed: list[str],
    seconds: float,
) -> BuildReport:
    return BuildReport(
        id=about.id,
        directory=str(manifest.generation_dir(config.collection, about.id)),
        reused=reused,
        active=config.activate,
        videos=about.videos,
        missing=plan.missing,
        segments=about.segments,
        shards=len(about.shards),
        factory=about.factory,
        embedding_model=about.embedding_model,
        ranker=f"relo@{about.ranker.fingerprint}" if about.ranker else "similarity-curve",
        contexts=plan.contexts or "none",
        dim=about.dim,
        search=about.search,
        bytes=sum(entry.bytes for entry in about.files.values()),
        removed=removed,
        notes=plan.notes,
        seconds=round(seconds, 3),
    )
