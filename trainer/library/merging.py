"""Write one part in place of several, without their deleted videos; all that is stored is taken as it is."""

import dataclasses
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine import parts
from engine.catalogue import PartCatalogue
from engine.corpus import Corpus, PartOfVersion
from engine.entries import Part
from engine.facts import Facts
from engine.files import sync
from engine.looks import read_part, write_looks
from engine.types import Floats, Ordinals
from engine.verification import verify
from trainer.generation.check import EXACT
from trainer.generation.kit import SAID
from trainer.generation.part import exact_factory
from trainer.generation.records import merge_records
from trainer.library.merging_texts import merge_texts
from trainer.library.proving import prove
from workers.index.effort import Effort
from workers.index.factory import FLAT_VALUES
from workers.index.files import INDEX, code_of
from workers.index.filling import fill
from workers.index.part import DIRECTORY, VERSION, IndexPart
from workers.index.training import Template
from workers.index.vectors import vectors_of
from workers.ranker.stores import contexts, features
from workers.ranker.stores.merging import Kept, merge_context, merge_encoded

# (videos,) the new part's videos, each as its place among the living ones of all parts, part after part.
Order = NDArray[np.int64]
_BLOCK = 16_384


def write_merged(building: Path, corpus: Corpus, chosen: Sequence[PartOfVersion]) -> Part:
    """Write and seal the part that has the living videos of `chosen`, at least one, of one shard.

    The caller gives the directory the part's id as its name. Mismatch for a damaged file of `chosen`, and
    (INDEX_UNFIT) for codes that find too little.
    """
    for part in chosen:
        # What is damaged would be sealed anew, as if it were right.
        verify(part.directory, part.about)
    living = [PartCatalogue.open(part.directory).of(part.living) for part in chosen]
    ids = [video for catalogue in living for video in catalogue.ids]
    order = np.array(sorted(range(len(ids)), key=ids.__getitem__), np.int64)
    catalogue = _catalogue(living, order)
    template, factory = _template(corpus, int(catalogue.segments.sum()))
    tables = np.repeat(np.arange(len(catalogue), dtype=np.int32), catalogue.segments), _within(catalogue)
    fill(building / DIRECTORY, template, _blocks(chosen, order), *tables, effort=_effort(corpus, factory))
    if factory not in EXACT and factory == corpus.version.factory:
        prove(building / DIRECTORY, corpus, catalogue)
    if SAID in chosen[0].about.files:
        shutil.copyfile(chosen[0].directory / SAID, building / SAID)
        sync(building / SAID)
    kept: list[Kept] = [(part.directory, part.living) for part in chosen]
    merge_context(building / features.DIRECTORY, kept, order)
    if corpus.version.contexts:
        merge_encoded(building / contexts.DIRECTORY, kept, order)
    merge_records(building, [(part.directory, one.ids) for part, one in zip(chosen, living, strict=True)])
    looks = [look for part in chosen for look in read_part(part.directory, part.living.tolist())]
    write_looks(building, [looks[row] for row in order])
    catalogue.write(building)
    merge_texts(building, corpus, chosen, order, catalogue.segments)
    about = dataclasses.replace(
        chosen[0].about,
        factory=factory,
        code=code_of(building / DIRECTORY / INDEX),
        faiss=VERSION,
        videos=len(catalogue),
        segments=int(catalogue.segments.sum()),
    )
    return parts.seal(building, about)


def _catalogue(living: Sequence[PartCatalogue], order: Order) -> PartCatalogue:
    ids = [video for part in living for video in part.ids]
    uris = [uri for part in living for uri in part.uris]
    return PartCatalogue(
        [ids[row] for row in order],
        [uris[row] for row in order],
        np.concatenate([part.durations for part in living])[order],
        np.concatenate([part.segments for part in living])[order],
        Facts.joined([part.known for part in living]).of(order),
    )


def _template(corpus: Corpus, segments: int) -> tuple[Template, str]:
    """Return the empty index for so many segments, and its name: exact while that is as fast."""
    version = corpus.version
    template = Template.read(corpus.directory, version.quantizer_sha256)
    if segments * version.dim > FLAT_VALUES:
        return template, version.factory
    return template.small(), exact_factory(version.factory)


def _within(catalogue: PartCatalogue) -> Ordinals:
    """Return (n,) the number of each row's segment inside its video."""
    return np.concatenate([np.arange(count, dtype=np.int32) for count in [*catalogue.segments, 0]])


def _effort(corpus: Corpus, factory: str) -> Effort | None:
    """Return how hard searches try that a build measured, of the largest part of this kind; None without."""
    alike = [part for part in corpus.parts if part.about.factory == factory]
    if not alike:
        return None
    largest = max(alike, key=lambda part: part.about.segments)
    return IndexPart.open(largest.directory / DIRECTORY, "cpu").effort


def _blocks(chosen: Sequence[PartOfVersion], order: Order) -> Iterator[Floats]:
    """Yield the living vectors (m, dim) in the new part's (video, segment) order."""
    opened = [IndexPart.open(part.directory / DIRECTORY, "cpu") for part in chosen]
    spans: list[tuple[int, int, int]] = []
    for number, part in enumerate(chosen):
        counts = PartCatalogue.open(part.directory).segments
        starts = np.cumsum(counts) - counts
        spans += [(number, int(starts[video]), int(counts[video])) for video in part.living]
    waiting: list[tuple[int, int, int]] = []
    size = 0
    for place in order:
        waiting.append(spans[int(place)])
        size += waiting[-1][2]
        if size >= _BLOCK:
            yield _gathered(opened, waiting, size)
            waiting, size = [], 0
    yield _gathered(opened, waiting, size)


def _gathered(opened: Sequence[IndexPart], spans: Sequence[tuple[int, int, int]], size: int) -> Floats:
    """Return the vectors of spans: (part, first row, rows) each."""
    found = np.zeros((size, opened[0].dim), np.float32)
    owners = np.repeat([number for number, _, _ in spans], [count for _, _, count in spans])
    rows = np.concatenate([np.zeros(0, np.int64), *(np.arange(s, s + n) for _, s, n in spans)])
    for number, part in enumerate(opened):
        mine = owners == number
        if mine.any():
            found[mine] = vectors_of(part, rows[mine])
    return found
