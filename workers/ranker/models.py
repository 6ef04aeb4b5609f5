"""The models and features of a version, as a ranker worker and an evaluation use them."""

import logging
import weakref
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine import versions
from engine.cores import cores
from engine.corpus import Corpus, open_corpus
from engine.entries import EncoderEntry, Version
from engine.errors import Mismatch
from engine.types import EncodedQuery, Ordinals
from workers.open_parts import OpenParts
from workers.ranker.encoder.encoder import Encoder, pick_device
from workers.ranker.encoder.known_queries import KnownQueries
from workers.ranker.parts import RankerPart
from workers.ranker.projection.projector import MeanPool, Projector
from workers.ranker.query_models import (
    AnyEncoder,
    NoEncoder,
    QueryModels,
    agree,
    open_encoder,
    open_projector,
)
from workers.ranker.scoring.ranker import Ranker
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.scoring.similarity_curve import SimilarityCurve
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.sentences.opening import OpenSentences
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FRAMES, FeatureMaps, FeatureStream
from workers.warming import warm

log = logging.getLogger("spr.ranker")


@dataclass(frozen=True, slots=True)
class Models:
    """Encoder, projector, ranker and features of one version, checked against it.

    features: by ordinal. sentences: what encodes sentences for its texts, None without one. held: (videos,)
    bool by ordinal, of which it has features and contexts.
    """

    corpus: Corpus
    queries: QueryModels
    ranker: Ranker
    features: FeatureMaps
    parts: tuple[RankerPart, ...]
    device: torch.device
    held: NDArray[np.bool_]
    sentences: SentenceEncoder | None = None

    @staticmethod
    def open(collection: Path, version: str = "", device: str = "auto") -> "Models":
        """Load what a version names, the current one for ""; see `SharedModels.open`."""
        return SharedModels(device).open(open_corpus(collection, version))

    @property
    def version(self) -> Version:
        """The version that all of it is of."""
        return self.corpus.version

    @property
    def encoder(self) -> AnyEncoder:
        """What encodes texts."""
        return self.queries.encoder

    @property
    def shards(self) -> list[str]:
        """Names of the version's shards that are held."""
        there = np.unique(self.corpus.catalogue.shards[self.held])
        return [shard.name for number, shard in enumerate(self.version.shards) if number in there]

    @property
    def every_frame(self) -> FeatureStream:
        """The frames of all videos, also those of shards that are not held: mapped, to read a few."""
        if self.held.all():
            return self.features.streams[FRAMES]
        opened = [FeatureMaps.open(part.directory) for part in self.corpus.parts]
        ordinals = [part.ordinals for part in self.corpus.parts]
        return FeatureMaps.of_parts(opened, ordinals, self.version.streams).streams[FRAMES]

    def check_held(self, videos: Ordinals) -> None:
        """Refuse (Mismatch) videos of shards that are not held here."""
        if not self.held[videos].all():
            message = f"this worker holds {', '.join(self.shards) or 'no shard'} of version {self.version.id}"
            raise Mismatch(f"{message}, and was asked about videos of others", "SHARD_MISMATCH")

    @property
    def widths(self) -> tuple[int | None, int | None]:
        """Widths of token states and of text embeddings; None for any, where another process encodes."""
        if isinstance(self.encoder, NoEncoder):
            return self.ranker.token_width or None, None
        return self.encoder.token_width, self.encoder.dim

    @property
    def projector(self) -> Projector | MeanPool:
        """What brings texts into the index's space."""
        return self.queries.projector

    def encode(self, texts: Sequence[str]) -> list[EncodedQuery]:
        """Return every text as the indexes and the ranker need it."""
        encoded = self.queries.encode(texts)
        if self.sentences is None:
            return encoded
        vectors = self.sentences.queries(texts)
        return [replace(one, sentence=vector) for one, vector in zip(encoded, vectors, strict=True)]

    def warm(self) -> None:
        """Bring what ranking reads into memory, of parts where that was not done, so that no query waits."""
        reads = self.ranker.reads
        cold = [part for part in self.parts if reads not in part.warmed]
        if arrays := [array for part in cold for array in part.arrays(reads)]:
            warm(reads, arrays)
        for part in cold:
            part.warmed.add(reads)


class SharedModels:
    """The models and parts that are open in this process: versions that name the same ones share them.

    All is held weakly: it goes with the last version, or call, that has it. For one thread at a time.
    """

    def __init__(
        self,
        device: str = "auto",
        settle: Callable[[Encoder, Path], None] | None = None,
        shards: Collection[str] | None = None,
        encodes: bool = True,
    ) -> None:
        """settle: called with every encoder that is loaded, and the collection it is of.

        shards: names of those whose parts are opened; None: all. encodes: whether encoders are loaded.
        """
        self.device = pick_device(device)
        self._shards, self._encodes = shards, encodes
        self._settle = settle
        self._parts: OpenParts[RankerPart] = OpenParts()
        self._encoders: weakref.WeakValueDictionary[str, Encoder] = weakref.WeakValueDictionary()
        self._queries: weakref.WeakValueDictionary[tuple[str, float], QueryModels] = (
            weakref.WeakValueDictionary()
        )
        self._rankers: weakref.WeakValueDictionary[str, ReloRanker] = weakref.WeakValueDictionary()
        self._sentences = OpenSentences(str(self.device))

    def open(self, corpus: Corpus) -> Models:
        """Load what the version names and is not open; Mismatch or NotFound say what is wrong or missing."""
        version = corpus.version
        mine = [part for part in corpus.parts if self._shards is None or part.shard in self._shards]
        parts = [self._parts.take(part, RankerPart.open) for part in mine]
        ordinals = [part.ordinals for part in mine]
        durations = None if len(mine) == len(corpus.parts) else corpus.catalogue.durations
        maps = [part.features for part in parts]
        features = FeatureMaps.of_parts(maps, ordinals, version.streams, durations)
        queries = self._query_models(corpus)
        ranker = self._ranker(corpus)
        _fit(ranker, queries.encoder, features, version)
        stores = [part.contexts for part in parts if part.contexts is not None]
        if isinstance(ranker, ReloRanker) and len(stores) == len(parts) > 0:
            store = EncodedStore.of_parts(stores, ordinals, len(features))
            ranker.use_stored(store, features, torch.get_num_threads())
        elif isinstance(ranker, ReloRanker) and parts:
            log.info("no stored contexts: windows are encoded for every query", extra={"version": version.id})
        held = np.zeros(len(features), np.bool_)
        for places in ordinals:
            held[places[places >= 0]] = True
        sentences = self._sentence_encoder(corpus)
        return Models(corpus, queries, ranker, features, tuple(parts), self.device, held, sentences)

    def _query_models(self, corpus: Corpus) -> QueryModels:
        version = corpus.version
        key = version.embedding_model, version.segment_length / version.streams[FRAMES].step
        found = self._queries.get(key)
        if found is None:
            encoder = self._encoder(corpus, version.encoder)
            clips = self._encoder(corpus, version.clip_encoder) if version.clip_encoder is not None else None
            assert not isinstance(clips, KnownQueries)
            projector = open_projector(corpus.directory, version, encoder.fingerprint, self.device)
            found = QueryModels(encoder, projector, version.embedding_model, self.device, clips)
            # Stored sentences are one collection's, and may have become more.
            if not isinstance(encoder, KnownQueries):
                self._queries[key] = found
        return found

    def _encoder(self, corpus: Corpus, entry: EncoderEntry) -> AnyEncoder:
        if not self._encodes:
            return NoEncoder.of(corpus.version, entry)
        found: Encoder | KnownQueries | None = self._encoders.get(entry.fingerprint)
        if found is None:
            found = open_encoder(corpus.directory, corpus.version, entry, self.device)
            if isinstance(found, Encoder):
                self._encoders[found.fingerprint] = found
                if self._settle:
                    self._settle(found, corpus.directory)
        return found

    def _sentence_encoder(self, corpus: Corpus) -> SentenceEncoder | None:
        texts = corpus.version.texts
        return self._sentences.of(corpus.directory, texts) if texts is not None and self._encodes else None

    def _ranker(self, corpus: Corpus) -> SimilarityCurve | ReloRanker:
        entry = corpus.version.ranker
        if entry is None:
            return SimilarityCurve()
        found = self._rankers.get(entry.fingerprint)
        if found is None:
            found = ReloRanker.open(versions.model_path(corpus.directory, entry), self.device)
            agree("ranker", found.fingerprint, entry.fingerprint, corpus.version)
            self._rankers[entry.fingerprint] = found
        texts = corpus.version.texts
        return found.again(texts.usual_cosine if texts is not None and texts.centre_sha256 else None)


def use_threads(count: int) -> None:
    """Let torch use `count` CPU threads, 0 for one a core."""
    torch.set_num_threads(count or cores())


def _fit(ranker: Ranker, encoder: AnyEncoder, features: FeatureMaps, version: Version) -> None:
    """Refuse features that the ranker lacks, or that are not as wide as it reads them."""
    if not isinstance(encoder, NoEncoder) and ranker.token_width not in (0, encoder.token_width):
        raise Mismatch(
            f"The encoder's token states are {encoder.token_width} wide, {ranker.name} reads "
            f"{ranker.token_width}; train a ranker on this collection, or build without one."
        )
    for name, width in (ranker.streams or {FRAMES: encoder.dim}).items():
        stream = features.streams.get(name)
        if stream is None or stream.dim != width:
            found = "absent" if stream is None else f"{stream.dim} wide"
            raise Mismatch(
                f"The {name} of version {version.id} are {found}, {ranker.name} reads "
                f"{width}; train a ranker on this collection, or build without one."
            )
