"""A version as every process sees it: its parts, and its living videos by ordinal."""

import contextlib
import gc
from collections.abc import Iterator, MutableMapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine import parts, versions
from engine.catalogue import CATALOGUE, Catalogue, PartCatalogue, merged
from engine.entries import Part, PartEntry, Version, refuse
from engine.types import Ordinals
from engine.verification import verify


@dataclass(frozen=True, slots=True, eq=False)
class PartOfVersion:
    """A part inside a version. directory: the part's. shard: the name of its shard.

    ordinals: (videos,) the version's ordinal of each of the part's videos, -1 for a deleted one.
    """

    about: Part
    directory: Path
    shard: str
    ordinals: Ordinals

    @property
    def living(self) -> Ordinals:
        """Return the numbers (n,) of the part's living videos."""
        return np.flatnonzero(self.ordinals >= 0).astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Corpus:
    """A collection at one version. directory: the collection's."""

    directory: Path
    version: Version
    catalogue: Catalogue
    parts: tuple[PartOfVersion, ...]

    @property
    def id(self) -> str:
        """The version's id."""
        return self.version.id

    @property
    def name(self) -> str:
        """The collection's name in the API."""
        return self.version.collection

    def of_shard(self, shard: str) -> tuple[PartOfVersion, ...]:
        """Return the parts of one shard."""
        return tuple(part for part in self.parts if part.shard == shard)


# What was read of a part, by id and checksum: the next version mostly lists the same parts.
Known = MutableMapping[tuple[str, str], tuple[Part, PartCatalogue]]


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the garbage collector: it would look again and again at rows of which none is garbage."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@_uncollected()
def open_corpus(collection: Path, version: str = "", known: Known | None = None) -> Corpus:
    """Open a version, the current one for "": its file, every part.json and every catalogue, verified.

    known: remembers parts between calls; those that the version does not list are dropped from it.
    NotFound or Mismatch say what is missing or wrong.
    """
    about = versions.read(collection, version)
    known = {} if known is None else known
    listed = [(shard, entry) for shard in about.shards for entry in shard.parts]
    for entry in (entry for _, entry in listed if (entry.id, entry.sha256) not in known):
        known[entry.id, entry.sha256] = _read_part(collection, about, entry)
    found = [known[entry.id, entry.sha256] for _, entry in listed]
    for key in set(known) - {(entry.id, entry.sha256) for _, entry in listed}:
        del known[key]
    numbers = {shard.name: number for number, shard in enumerate(about.shards)}
    try:
        catalogue, ordinals = merged(
            [catalogue for _, catalogue in found],
            [numbers[shard.name] for shard, _ in listed],
            [entry.deleted_videos() for _, entry in listed],
        )
    except ValueError as error:
        raise refuse(
            f"version {about.id} of {collection} cannot be used ({error}): {versions.REMEDY}."
        ) from None
    _check_counts(collection, about, catalogue)
    rows = zip(found, listed, ordinals, strict=True)
    opened = [
        PartOfVersion(part, parts.directory(collection, part.id), shard.name, places)
        for (part, _), (shard, _), places in rows
    ]
    return Corpus(collection, about, catalogue, tuple(opened))


def _read_part(collection: Path, version: Version, entry: PartEntry) -> tuple[Part, PartCatalogue]:
    part, checksum = parts.read(collection, entry.id)
    directory = parts.directory(collection, entry.id)
    wanted = (entry.sha256, entry.videos, entry.segments)
    if (checksum, part.videos, part.segments) != wanted:
        raise refuse(
            f"{directory / parts.PART} is not the one that version {version.id} lists: {parts.REMEDY}."
        )
    _check_models(directory, part, version)
    verify(directory, part, [CATALOGUE])
    catalogue = PartCatalogue.open(directory)
    if (len(catalogue), int(catalogue.segments.sum())) != (part.videos, part.segments):
        raise refuse(
            f"{directory / CATALOGUE} has {len(catalogue)} videos, not {part.videos}: {parts.REMEDY}."
        )
    return part, catalogue


def _check_models(directory: Path, part: Part, version: Version) -> None:
    """Refuse a part that other models made than the version names."""
    ranker = version.ranker.fingerprint if version.ranker and version.contexts else ""
    wanted = {
        "embedding_model": version.embedding_model,
        "dim": version.dim,
        "segment_length": version.segment_length,
        "quantizer_sha256": version.quantizer_sha256,
        "ranker": ranker,
        "contexts": version.contexts,
        "streams": dict(version.streams),
        "metric": version.metric,
    }
    for name, value in wanted.items():
        if getattr(part, name) != value:
            found = f"has {name} {getattr(part, name)!r}, version {version.id} needs {value!r}"
            raise refuse(f"{directory / parts.PART} {found}: {versions.REMEDY}.")


def _check_counts(collection: Path, version: Version, catalogue: Catalogue) -> None:
    for number, shard in enumerate(version.shards):
        mine = catalogue.shards == number
        found = int(mine.sum()), int(catalogue.segments[mine].sum())
        if found != (shard.videos, shard.segments):
            message = f"version {version.id} of {collection} gives {shard.name} {shard.videos} videos and "
            raise refuse(f"{message}{shard.segments} segments, its parts have {found}: {versions.REMEDY}.")
