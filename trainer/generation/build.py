"""Build a version: new parts, one a shard, from the feature store; whole or not at all.

torch (by `trainer.generation.plan`) is loaded before FAISS, and nothing forks: any other order of their two
OpenMP runtimes in one process deadlocks or crashes.
"""

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

from engine import parts, versions
from engine.config import shard_name
from engine.corpus import open_corpus
from engine.entries import SearchEntry, ShardEntry, Version
from engine.errors import SprError
from engine.files import refusal, sha256
from engine.staging import check_room, staged, sweep
from engine.verification import verify
from engine.version_lock import only_writer
from trainer.collection.texts import texts_of
from trainer.generation.config import BuildConfig
from trainer.generation.frozen import frozen_files
from trainer.generation.garbage import Garbage, collect_garbage
from trainer.generation.indexing import write_indexes
from trainer.generation.kit import Kit, OnProgress
from trainer.generation.making import Here, Maker, buildings
from trainer.generation.part import nothing, streams_of
from trainer.generation.plan import Plan, make_plan
from trainer.generation.texts import make_texts
from trainer.generation.texts_kit import TextsKit

__all__ = ["BuildConfig", "BuildReport", "build"]


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What a build made: version `number`, of parts (ids). search: what the index was measured to find.

    missing: videos of the corpus file without features. contexts: how the ranker's are stored. texts: how
    what is said and written is sought, "none" where nothing is. bytes: of all files. removed: versions.
    seconds: the build took.
    """

    id: str
    number: int
    parts: list[str]
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
    texts: str
    dim: int
    search: SearchEntry | None
    bytes: int
    removed: list[str]
    notes: list[str]
    seconds: float


def build(
    config: BuildConfig, on_progress: OnProgress | None = None, maker: Maker | None = None
) -> BuildReport:
    """Build what `config` says, or find it built, and make it current.

    on_progress: called with (stage, done, total). A failed or killed build leaves everything as it was.
    maker: of the parts, None for this process.
    """
    began = time.monotonic()
    collection = config.collection
    try:
        with only_writer(collection, "build"):
            plan = make_plan(config)
            sweep(collection)
            found = _find(collection, plan.sources)
            about = found or _make(collection, plan, maker or Here(), on_progress or nothing)
            if config.activate:
                versions.activate(collection, about.id)
            garbage = collect_garbage(collection, config.keep, {about.id}) if config.keep else Garbage()
    except OSError as error:
        raise refusal(error, None if error.filename else collection) from error
    kept = [f"version {name} is still used, so --keep {config.keep} left it" for name in garbage.held]
    report = _report(config, plan, about, reused=found is not None)
    seconds = round(time.monotonic() - began, 3)
    return replace(report, removed=garbage.versions, notes=[*report.notes, *kept], seconds=seconds)


def _find(collection: Path, sources: str) -> Version | None:
    """Return the newest version that was built of `sources`, if every file of it is whole."""
    for number in reversed(versions.numbers(collection)):
        with contextlib.suppress(SprError, OSError):
            about = versions.read(collection, str(number))
            if about.sources == sources:
                for part in open_corpus(collection, about.id).parts:
                    verify(part.directory, part.about)
                if all(sha256(path).startswith(path.stem) for path in frozen_files(collection, about)):
                    return about
    return None


def _make(collection: Path, plan: Plan, maker: Maker, on_progress: OnProgress) -> Version:
    check_room(collection, plan.bytes)
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(staged(collection)) for _ in range(plan.shard_count)]
        shards = buildings(plan, [staging.path for staging in made])
        kit, search = write_indexes(collection, plan, shards, maker, on_progress)
        kit = replace(kit, texts=_texts(plan, on_progress))
        for staging, part in zip(made, maker.complete(plan, kit, shards, on_progress), strict=True):
            staging.id = part
    entries = [parts.entry_of(collection, staging.id) for staging in made]
    listed = [
        ShardEntry(shard_name(number), entry.videos, entry.segments, (entry,))
        for number, entry in enumerate(entries)
    ]
    kit.save(collection)
    return _commit(collection, _version(plan, kit, listed, search))


def _texts(plan: Plan, on_progress: OnProgress) -> TextsKit | None:
    found = texts_of(plan.store, plan.ids)
    if not any(one.said or one.written for one in found):
        return None
    on_progress("texts", 0, 1)
    made = make_texts(found, plan.counts, plan.segment_length, plan.shard_count, plan.sentences)
    on_progress("texts", 1, 1)
    fusion = plan.ranker.decode.fusion if plan.ranker is not None else None
    if made is None or fusion is None or not fusion.lists:
        return made
    return replace(made, entry=replace(made.entry, weights=dict(fusion.lists)))


def _version(plan: Plan, kit: Kit, shards: list[ShardEntry], search: SearchEntry) -> Version:
    return Version(
        id="",
        number=0,
        parent=plan.parent,
        reason="build",
        created="",
        collection=plan.name,
        encoder=plan.encoder,
        projector=plan.projector_entry,
        ranker=plan.ranker_entry,
        embedding_model=plan.embedding_model,
        dim=plan.dim,
        segment_length=plan.segment_length,
        factory=plan.recipe.label,
        quantizer_sha256=kit.template.sha256,
        videos=len(plan.ids),
        segments=plan.segments,
        shards=tuple(shards),
        streams=streams_of(kit),
        contexts=plan.contexts or "",
        search=search,
        sources=plan.sources,
        settings=plan.settings,
        texts=kit.texts.entry if kit.texts is not None else None,
        clip_encoder=plan.clip_encoder,
    )


def _commit(collection: Path, made: Version) -> Version:
    """Commit a version, unless there is one of the same parts whose damage this build has repaired."""
    for number in reversed(versions.numbers(collection)):
        with contextlib.suppress(SprError):
            about = versions.read(collection, str(number))
            if (about.sources, about.shards) == (made.sources, made.shards):
                return about
    return versions.commit(collection, made)


def _report(config: BuildConfig, plan: Plan, about: Version, *, reused: bool) -> BuildReport:
    held = [parts.read(config.collection, entry.id)[0] for entry in about.parts]
    return BuildReport(
        id=about.id,
        number=about.number,
        parts=[part.id for part in held],
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
        texts=_sought(about),
        dim=about.dim,
        search=about.search,
        bytes=sum(part.bytes for part in held),
        removed=[],
        notes=plan.notes,
        seconds=0.0,
    )


def _sought(about: Version) -> str:
    if about.texts is None:
        return "none"
    return "words" + (f" and meaning ({about.texts.encoder.source})" if about.texts.encoder else "")
