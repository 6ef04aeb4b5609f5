"""Write one part: index, catalogue, the ranker's features and stored contexts of some videos of one shard."""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch

from engine import parts
from engine.catalogue import PartCatalogue
from engine.entries import Part, PartEntry, StreamEntry
from engine.facts import Facts
from engine.files import sync
from engine.staging import staged
from engine.types import Floats
from trainer.collection.segments import VideoRows, embed_as_told
from trainer.collection.texts import texts_of
from trainer.generation.contexts import write_contexts
from trainer.generation.kit import SAID, Kit, OnProgress
from trainer.generation.looks import write_seen
from trainer.generation.records import write_records
from trainer.generation.texts import write_texts
from workers.index.files import INDEX, code_of
from workers.index.filling import fill
from workers.index.part import DIRECTORY as INDEX_DIRECTORY
from workers.index.part import VERSION
from workers.index.training import Template
from workers.ranker.projection.projector import MeanPool
from workers.ranker.stores.features import DIRECTORY, write_context


def nothing(stage: str, done: int, total: int) -> None:
    """Report no progress."""


def add_part(collection: Path, kit: Kit, ids: Sequence[str], on_progress: OnProgress = nothing) -> PartEntry:
    """Make a small, exact part of videos `ids` of one shard, publish it, return it as a version lists it.

    The caller holds the writer's lock. No version lists it yet.
    """
    with staged(collection) as staging:
        staging.id = make_part(staging.path, kit, ids, small=True, on_progress=on_progress).id
    return parts.entry_of(collection, staging.id)


def make_part(
    building: Path, kit: Kit, ids: Sequence[str], *, small: bool, on_progress: OnProgress = nothing
) -> Part:
    """Write all of a part of videos `ids` into `building`, an empty directory, and seal it; return it.

    ids: distinct, in any order, each with features in the kit's store. small: with an exact index, whatever
    the template is. The caller gives the directory the part's id as its name: `staging.staged`.
    """
    names = sorted(ids)
    rows = VideoRows.of_store(kit.store, names)
    blocks = embed_as_told(rows, kit.projector, kit.device)
    template = kit.template.small() if small else kit.template
    write_index(building, kit, names, blocks, template)
    write_context(building / DIRECTORY, kit.store, names)
    return finish_part(
        building, kit, names, exact_factory(kit.factory) if small else kit.factory, on_progress
    )


def exact_factory(factory: str) -> str:
    """Return FAISS's name of what an index scores anew with, its own where it has no such thing.

    >>> exact_factory("RaBitQfs,Refine(SQfp16)"), exact_factory("IVF4,Flat"), exact_factory("PQ8,RFlat")
    ('SQfp16', 'IVF4,Flat', 'Flat')
    """
    found = re.search(r",(?:Refine\((.+)\)|R(Flat))$", factory)
    return (found[1] or found[2]) if found else factory


def write_index(
    building: Path, kit: Kit, ids: Sequence[str], blocks: Iterable[Floats], template: Template
) -> None:
    """Write a part's index. ids: sorted. blocks: their unit vectors (m, dim), in (video, segment) order."""
    counts = VideoRows.of_store(kit.store, ids).segment_counts(kit.projector.segment_length)
    videos = np.repeat(np.arange(len(ids), dtype=np.int32), counts)
    segments = np.concatenate([np.arange(count, dtype=np.int32) for count in [*counts, 0]])
    fill(building / INDEX_DIRECTORY, template, blocks, videos, segments)
    if isinstance(kit.projector, MeanPool) and kit.projector.said is not None:
        write_said(building, kit.projector.said)


def write_said(building: Path, mean: torch.Tensor) -> None:
    """Keep (dim,) the mean of what is said with a part; see `kit.said`."""
    np.save(building / SAID, mean.cpu().numpy())
    sync(building / SAID)


def finish_part(
    building: Path, kit: Kit, ids: Sequence[str], factory: str, on_progress: OnProgress = nothing
) -> Part:
    """Write what a part has besides its index and features, and part.json; return it.

    ids: sorted, as the index has them. factory: FAISS's name of that index.
    """
    if kit.ranker is not None and kit.contexts is not None:
        write_contexts(building, kit.ranker, kit.contexts, kit.device, on_progress)
    write_records(building, kit.store, ids)
    write_seen(building, kit.store, ids)
    catalogue = _catalogue(kit, ids)
    catalogue.write(building)
    if kit.texts is not None:
        write_texts(building, kit.texts, texts_of(kit.store, ids), catalogue.segments, kit.segment_length)
    return parts.seal(building, _about(building, kit, catalogue, factory))


def _catalogue(kit: Kit, ids: Sequence[str]) -> PartCatalogue:
    records = [kit.store.record(video) for video in ids]
    rows = VideoRows.of_store(kit.store, ids)
    return PartCatalogue(
        ids=list(ids),
        uris=[record.uri for record in records],
        durations=rows.durations,
        segments=rows.segment_counts(kit.projector.segment_length),
        facts=Facts.of_records([record.info for record in records]),
    )


def _about(building: Path, kit: Kit, catalogue: PartCatalogue, factory: str) -> Part:
    stored = kit.contexts if kit.ranker is not None else None
    return Part(
        id="",
        embedding_model=kit.embedding_model,
        dim=kit.dim,
        segment_length=kit.segment_length,
        factory=factory,
        code=code_of(building / INDEX_DIRECTORY / INDEX),
        faiss=VERSION,
        quantizer_sha256=kit.template.sha256,
        ranker=kit.ranker.fingerprint if kit.ranker is not None and stored else "",
        contexts=stored or "",
        videos=len(catalogue),
        segments=int(catalogue.segments.sum()),
        streams=streams_of(kit),
        files={},
    )


def streams_of(kit: Kit) -> dict[str, StreamEntry]:
    """Return the feature streams as part.json and a version name them."""
    dtype = kit.store.dtype.name
    return {name: StreamEntry(s.dim, s.step, dtype) for name, s in kit.store.streams.items()}
