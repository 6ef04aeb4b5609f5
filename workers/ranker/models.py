"""The models and features of a version, as a ranker worker and an evaluation use them."""

import logging
import os
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine import versions
from engine.corpus import Corpus, open_corpus
from engine.entries import EncoderEntry, Version
from engine.errors import Mismatch
from engine.types import EncodedQuery
from workers.open_parts import OpenParts
from workers.ranker.encoder.encoder import Encoder, pick_device
from workers.ranker.encoder.known_queries import KnownQueries
from workers.ranker.parts import RankerPart
from workers.ranker.projection.projector import MeanPool, Projector
from workers.ranker.projection.segments import video_rows
from workers.ranker.query_models import QueryModels, agree, open_encoder, open_projector
from workers.ranker.scoring.ranker import Ranker
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.scoring.similarity_curve import SimilarityCurve
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.sentences.opening import open_entry
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import CLIPS, FRAMES, FeatureMaps
from workers.warming import warm

log = logging.getLogger("spr.ranker")


@dataclass(frozen=True, slots=True)
class Models:
    """Encoder, projector, ranker and features of one version, checked against it.

    features: by ordinal. sentences: what encodes sentences for its texts, None without one.
    """

    corpus: Corpus
    queries: QueryModels
    ranker: Ranker
    features: FeatureMaps
    parts: tuple[RankerPart, ...]
    device: torch.device
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
    def encoder(self) -> Encoder | KnownQueries:
        """What encodes texts."""
        return self.queries.encoder

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

    def shown(self, video: int) -> NDArray[Any]:
        """Return what examples read of a video, a row a frame, unit ones with clips: see `examples`."""
        read = partial(self.features.video, video)
        if self.queries.clips is None:
            return video_rows(self.projector.streams, read)
        frames = read(FRAMES)
        clips = np.repeat(read(CLIPS), self.projector.segment_length, axis=0)[: len(frames)]
        halves = [np.asarray(rows, np.float32) for rows in (frames, clips)]
        lengths = [np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12) for rows in halves]
        return np.concatenate([rows / long for rows, long in zip(halves, lengths, strict=True)], axis=1)

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

    def __init__(self, device: str = "auto", settle: Callable[[Encoder, Path], None] | None = None) -> None:
        """settle: called with every encoder that is loaded, and the collection it is of."""
        self.device = pick_device(device)
        self._settle = settle
        self._parts: OpenParts[RankerPart] = OpenParts()
        self._encoders: weakref.WeakValueDictionary[str, Encoder] = weakref.WeakValueDictionary()
        self._queries: weakref.WeakValueDictionary[tuple[str, float], QueryModels] = (
            weakref.WeakValueDictionary()
        )
        self._rankers: weakref.WeakValueDictionary[str, ReloRanker] = weakref.WeakValueDictionary()
        self._sentences: weakref.WeakValueDictionary[str, SentenceEncoder] = weakref.WeakValueDictionary()

    def open(self, corpus: Corpus) -> Models:
        """Load what the version names and is not open; Mismatch or NotFound say what is wrong or missing."""
        version = corpus.version
        parts = [self._parts.take(part, RankerPart.open) for part in corpus.parts]
        ordinals = [part.ordinals for part in corpus.parts]
        features = FeatureMaps.of_parts([part.features for part in parts], ordinals, version.streams)
        queries = self._query_models(corpus)
        ranker = self._ranker(corpus)
        _fit(ranker, queries.encoder, features, version)
        stores = [part.contexts for part in parts if part.contexts is not None]
        if isinstance(ranker, ReloRanker) and len(stores) == len(parts) > 0:
            store = EncodedStore.of_parts(stores, ordinals)
            ranker.use_stored(store, features, torch.get_num_threads())
        elif isinstance(ranker, ReloRanker):
            log.info("no stored contexts: windows are encoded for every query", extra={"version": version.id})
        sentences = self._sentence_encoder(corpus)
        return Models(corpus, queries, ranker, features, tuple(parts), self.device, sentences)

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

    def _encoder(self, corpus: Corpus, entry: EncoderEntry) -> Encoder | KnownQueries:
        found: Encoder | KnownQueries | None = self._encoders.get(entry.fingerprint)
        if found is None:
            found = open_encoder(corpus.directory, corpus.version, entry, self.device)
            if isinstance(found, Encoder):
                self._encoders[found.fingerprint] = found
                if self._settle:
                    self._settle(found, corpus.directory)
        return found

    def _sentence_encoder(self, corpus: Corpus) -> SentenceEncoder | None:
        entry = corpus.version.texts.encoder if corpus.version.texts else None
        if entry is None:
            return None
        found = self._sentences.get(entry.fingerprint)
        if found is None:
            found = open_entry(corpus.directory, entry, str(self.device))
            self._sentences[entry.fingerprint] = found
        return found

    def _ranker(self, corpus: Corpus) -> SimilarityCurve | ReloRanker:
        entry = corpus.version.ranker
        if entry is None:
            return SimilarityCurve()
        found = self._rankers.get(entry.fingerprint)
        if found is None:
            found = ReloRanker.open(versions.model_path(corpus.directory, entry), self.device)
            agree("ranker", found.fingerprint, entry.fingerprint, corpus.version)
            self._rankers[entry.fingerprint] = found
        return found.again()


def use_threads(count: int) -> None:
    """Let torch use `count` CPU threads, 0 for one a core."""
    torch.set_num_threads(count or os.cpu_count() or 1)


def _fit(ranker: Ranker, encoder: Encoder | KnownQueries, features: FeatureMaps, version: Version) -> None:
    """Refuse features that the ranker lacks, or that are not as wide as it reads them."""
    if ranker.token_width not in (0, encoder.token_width):
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
