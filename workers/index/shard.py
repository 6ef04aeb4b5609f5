"""One shard of a version as it is served: its parts, searched one by one and merged."""

import contextlib
import logging
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.corpus import Corpus, PartOfVersion
from engine.entries import ShardEntry, TextsEntry, Version, refuse
from engine.errors import NotFound, SprError, Unavailable
from engine.merge import top_k
from engine.texts import TEXTS, TextHits, TextsSought
from engine.types import Floats, Hits, Ordinals
from spr.internal.v1 import version_service_pb2
from spr.internal.v1.index_shard_service_pb2 import Allowed
from workers.index.files import warm_originals
from workers.index.lexicon import Lexicon
from workers.index.living import Living
from workers.index.part import DIRECTORY, INDEX, ORIGINALS, IndexPart
from workers.index.selections import Rows, Selections
from workers.index.shard_texts import ShardTexts
from workers.index.text_part import TextPart
from workers.index.training import Template
from workers.index.verified import verified
from workers.open_parts import OpenParts
from workers.warming import available_bytes
from workers.watch import Watch

log = logging.getLogger("spr.index")
_CODES, _ORIGINALS = f"{DIRECTORY}/{INDEX}", f"{DIRECTORY}/{ORIGINALS}"


@dataclass(frozen=True, eq=False)
class OpenPart:
    """A part's index, open in this process, its texts by channel, and what watches its files.

    lexicon: of the texts, None where none are searched.
    """

    index: IndexPart
    watch: Watch
    texts: Mapping[str, TextPart]
    lexicon: Lexicon | None


@dataclass(frozen=True, slots=True, eq=False)
class LivingPart:
    """An open part inside a version. ordinals: of its videos, -1 for a deleted one. living: None for all."""

    open: OpenPart
    ordinals: Ordinals
    living: Living | None

    def search(self, queries: Floats, k: int, nprobe: int | None, living: Living | None = None) -> list[Hits]:
        """Return the best `k` living segments of each query, by the version's ordinals.

        living: of those that live, the rows that may be found; None: all of them.
        """
        found = self.open.index.search(queries, k, nprobe, living=living or self.living)
        return [Hits(self.ordinals[hits.videos], hits.segments, hits.scores) for hits in found]


@dataclass(frozen=True, slots=True, eq=False)
class Shard:
    """A shard of a version; nothing of it changes. texts: of the channels that its parts have."""

    version: Version
    entry: ShardEntry
    parts: tuple[LivingPart, ...]
    selections: Selections
    texts: Mapping[str, ShardTexts]

    @property
    def watches(self) -> Sequence[Watch]:
        """The watches of its parts."""
        return [part.open.watch for part in self.parts]

    @property
    def device(self) -> str:
        """Return "gpu" if any part is searched there, else "cpu"."""
        return "gpu" if any(part.open.index.device == "gpu" for part in self.parts) else "cpu"

    def about(self) -> version_service_pb2.HeldVersion:
        """Describe it for VersionService's listing."""
        return version_service_pb2.HeldVersion(
            collection=self.version.collection,
            version=self.version.id,
            embedding_model=self.version.embedding_model,
            videos=self.entry.videos,
            segments=self.entry.segments,
            parts=len(self.parts),
            index_factory=self.version.factory,
            quantizer_sha256=self.version.quantizer_sha256,
        )

    def search(
        self, queries: Floats, k: int, nprobe: int | None = None, allowed: Allowed | None = None
    ) -> list[Hits]:
        """Return the best `k` living segments of each query, as one index of all that is allowed would.

        Equal scores are in order of (ordinal, segment). Arguments and errors are `IndexPart.search`'s;
        Mismatch (GENERATION_CORRUPT) once a file of a part has changed.
        """
        with contextlib.ExitStack() as unchanged:
            for watch in self.watches:
                unchanged.enter_context(watch.around())
            if allowed is None:
                found = [part.search(queries, k, nprobe) for part in self.parts]
            else:
                chosen = zip(self.parts, self.selections.of(allowed), strict=True)
                found = [part.search(queries, k, nprobe, living) for part, living in chosen]
        if len(found) == 1:
            return found[0]
        return [top_k([hits[query] for hits in found], k) for query in range(len(queries))]

    def search_texts(self, sought: TextsSought, k: int, allowed: Allowed | None = None) -> list[TextHits]:
        """Return the lists of the best `k` segments by their texts: see `ShardTexts.search`, and `search`."""
        with contextlib.ExitStack() as unchanged:
            for watch in self.watches:
                unchanged.enter_context(watch.around())
            channels = [self.texts[name] for name in sought.channels if name in self.texts]
            return [found for channel in channels for found in channel.search(sought, k, allowed)]


class ShardOpener:
    """Opens one shard, by its name, of versions of any collection; versions share open parts."""

    def __init__(self, name: str, device: str = "auto") -> None:
        self.name = name
        self._device = device
        self._parts: OpenParts[OpenPart] = OpenParts()
        self._lexicons: weakref.WeakValueDictionary[str, Lexicon] = weakref.WeakValueDictionary()

    def __call__(self, corpus: Corpus, healing: bool = False) -> Shard:
        """Open the shard of a version: memory checked first, new parts verified, one search made.

        healing: make damaged codes again from their originals where those are sound. NotFound for a shard
        that the version has not, Mismatch with the file that differs, Unavailable for too little memory.
        """
        entry = next((shard for shard in corpus.version.shards if shard.name == self.name), None)
        if entry is None:
            names = ", ".join(shard.name for shard in corpus.version.shards)
            message = f"version {corpus.id} has no {self.name}, only {names}."
            raise NotFound(message, reason="SHARD_NOT_FOUND")
        listed = corpus.of_shard(self.name)
        check_memory(self._parts.missing(listed))
        opened = [self._parts.take(part, lambda new: self._open(corpus, new, healing)) for part in listed]
        parts = tuple(_living(part, one) for part, one in zip(listed, opened, strict=True))
        tables = [Rows(part.ordinals, part.open.index.videos, part.open.index.segments) for part in parts]
        found = [(part.open.texts, part.ordinals) for part in parts]
        texts = {name: one for name in TEXTS if (one := ShardTexts.of(name, found, corpus)) is not None}
        shard = Shard(corpus.version, entry, parts, Selections(tables, corpus), texts)
        probe = np.full((1, corpus.version.dim), corpus.version.dim**-0.5, np.float32)
        shard.search(probe, 10)
        return shard

    def _open(self, corpus: Corpus, part: PartOfVersion, healing: bool) -> OpenPart:
        watch, lost = verified(part, healing)
        template, again = None, DIRECTORY in lost
        if _ORIGINALS in part.about.files:
            template = _template(corpus.directory, part.about.quantizer_sha256, needed=again)
        index = IndexPart.open(part.directory / DIRECTORY, self._device, template, again)
        if (index.dim, len(index)) != (part.about.dim, part.about.segments):
            message = f"{part.directory} holds {len(index)} vectors of width {index.dim}, part.json says "
            raise refuse(message + f"{part.about.segments} of {part.about.dim}: copy the part again.")
        if index.mapped:
            warm_originals(part.directory / DIRECTORY)
        lexicon = self._lexicon(corpus.directory, corpus.version.texts)
        return OpenPart(index, watch, _texts(corpus, part, lexicon, lost), lexicon)

    def _lexicon(self, collection: Path, entry: TextsEntry | None) -> Lexicon | None:
        if entry is None:
            return None
        found = self._lexicons.get(entry.lexicon_sha256)
        if found is None:
            found = self._lexicons[entry.lexicon_sha256] = Lexicon.read(collection, entry.lexicon_sha256)
        return found


def check_memory(parts: Sequence[PartOfVersion]) -> None:
    """Refuse (Unavailable) parts whose indexes every search goes through but that memory cannot hold."""
    read = [entry.bytes for part in parts for name, entry in part.about.files.items() if _is_codes(name)]
    if parts and (size := sum(read)) > (free := available_bytes()):
        paths = ", ".join(str(part.directory / _CODES) for part in parts[:3])
        message = f"{paths} take {size >> 20} MB of memory and {free >> 20} MB are available: "
        raise Unavailable(message + "use a larger machine, more shards, or --index auto.", "NO_MEMORY")


def _is_codes(name: str) -> bool:
    """Tell whether every search goes through a file of a part."""
    return name in (_CODES, *(f"{channel}/{INDEX}" for channel in TEXTS))


def _texts(
    corpus: Corpus, part: PartOfVersion, lexicon: Lexicon | None, lost: Sequence[str]
) -> dict[str, TextPart]:
    entry, found = corpus.version.texts, dict[str, TextPart]()
    if entry is None or lexicon is None:
        return found
    for channel in (name for name in TEXTS if part.about.files_of(name)):
        template, again = None, channel in lost
        if f"{channel}/{ORIGINALS}" in part.about.files:
            template = _template(corpus.directory, entry.quantizer_sha256, needed=again)
        found[channel] = TextPart.open(part.directory / channel, entry, lexicon, template, again)
    return found


def _template(collection: Path, sha256: str, needed: bool) -> Template | None:
    """Read the collection's template; it is needed only where codes are made again."""
    try:
        return Template.read(collection, sha256)
    except SprError as error:
        if needed:
            raise
        log.warning("codes could not be made again from their originals: %s", error)
        return None


def _living(part: PartOfVersion, opened: OpenPart) -> LivingPart:
    alive = part.ordinals >= 0
    return LivingPart(opened, part.ordinals, None if alive.all() else Living(alive[opened.index.videos]))
