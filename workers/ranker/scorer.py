"""Batches, caches and deadlines in front of a version's models; texts have texts.py."""

import asyncio
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple, TypeAlias, TypeVar

import numpy as np

from engine import metrics
from engine.corpus import Corpus
from engine.types import Doubles, EncodedQuery, Proposals, Ranked, RankQuery
from spr.internal.v1.version_service_pb2 import HeldVersion
from workers.ranker.batching import Batcher
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.examples import Asked, ExampleEncoder
from workers.ranker.models import Models, SharedModels
from workers.ranker.query_models import NoEncoder, QueryModels
from workers.ranker.scoring.ranker import ranked_or_found
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.scoring.similarity_curve import SimilarityCurve
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.texts import TYPICAL, CachedTextEncoder, Encoded, EncodedSentence
from workers.watch import Watch

# Proposals that a search has ranked unless it says otherwise.
_USUAL = 200
_T = TypeVar("_T")
_Shared: TypeAlias = "weakref.WeakValueDictionary[int, _T]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """See `Batcher` for max_batch and max_delay, `CachedTextEncoder` for cached and cached_bytes."""

    max_batch: int = 16
    max_delay: float = 0.002
    cached: int = 1024
    cached_bytes: int = 64 << 20

    def texts(self, models: QueryModels) -> CachedTextEncoder[EncodedQuery]:
        """Return a cache and a queue of texts in front of models."""
        return self._cached("encode", models.encode, "texts")

    def sentences(self, encoder: SentenceEncoder) -> CachedTextEncoder[EncodedSentence]:
        """Return the same in front of a sentence encoder."""

        def compute(texts: Sequence[str]) -> list[EncodedSentence]:
            pairs = zip(encoder.queries(texts), encoder.cut(texts), strict=True)
            return [EncodedSentence(vector, cut) for vector, cut in pairs]

        return self._cached("encode_sentences", compute, "sentences")

    def _cached(
        self, stage: str, compute: Callable[[Sequence[str]], Sequence[Encoded]], name: str
    ) -> CachedTextEncoder[Encoded]:
        return CachedTextEncoder(
            metrics.batches(stage, compute),
            name=name,
            max_batch=self.max_batch,
            max_delay=self.max_delay,
            cached=self.cached,
            cached_bytes=self.cached_bytes,
        )


class Texts(NamedTuple):
    """Texts in front of a version's models; sentences: None without a sentence encoder."""

    texts: CachedTextEncoder[EncodedQuery]
    sentences: CachedTextEncoder[EncodedSentence] | None

    @staticmethod
    def of(models: Models, limits: Limits) -> "Texts":
        """Make those of some models."""
        sentences = models.sentences
        return Texts(limits.texts(models.queries), limits.sentences(sentences) if sentences else None)


class Scorer:
    """A version behind two queues: concurrent texts are encoded together, and so are queries ranked.

    rank: ranks one RankQuery with others that wait; see `Batcher`. rank_shown: those without words, by the
    similarity curve. examples: encodes those of a query; alone, for what one is refused for is its own.
    sentences: encodes texts by the version's sentence encoder, at the same time as `texts`; None without one.
    """

    def __init__(self, models: Models, texts: Texts | None = None, limits: Limits | None = None) -> None:
        """texts: of these models; made here where none are given."""
        limits = limits or Limits()
        self.models, self._checked = models, False
        self.texts, self.sentences = texts or Texts.of(models, limits)
        # Windows encoded online take a second a query: in a batch, every caller would wait for the last.
        most = limits.max_batch if models.ranker.batched else 1
        rank_many = partial(ranked_or_found, models.ranker, models.features)
        self.rank: Batcher[RankQuery, Ranked | Doubles] = Batcher(
            metrics.batches("rank", rank_many), most, limits.max_delay
        )
        curve = partial(ranked_or_found, SimilarityCurve(), models.features)
        self.rank_shown: Batcher[RankQuery, Ranked | Doubles] = Batcher(
            metrics.batches("rank", curve), 1, 0.0
        )
        encode = metrics.batches("encode", ExampleEncoder(models).encode_many)
        self.examples: Batcher[Asked, EncodedQuery] = Batcher(encode, 1, 0.0)

    @property
    def watches(self) -> Sequence[Watch]:
        """What watches the files of each part."""
        return [part.watch for part in self.models.parts]

    def check(self) -> None:
        """Refuse (Mismatch) to answer from files that have changed."""
        for part in self.models.parts:
            part.watch.check()

    def check_in_turn(self) -> None:
        """Do so once a turn of the running event loop: what is answered in one was read before it began."""
        if not self._checked:
            self.check()
            self._checked = True
            asyncio.get_running_loop().call_soon(self._turned)

    def _turned(self) -> None:
        self._checked = False

    def about(self) -> HeldVersion:
        """Describe the version."""
        found = HeldVersion()
        found.CopyFrom(self._about)
        return found

    @cached_property
    def _about(self) -> HeldVersion:
        # Of a million videos it takes a tenth of a second, and every coordinator asks once a second.
        corpus, models = self.models.corpus, self.models
        return HeldVersion(
            collection=corpus.name,
            version=corpus.id,
            embedding_model=models.queries.embedding_model,
            videos=int(models.held.sum()),
            segments=int(corpus.catalogue.segments[models.held].sum()),
            parts=len(models.parts),
            ranker_model=models.ranker.name,
            shards=models.shards,
        )

    @property
    def waiting(self) -> int:
        """Calls that wait for a batch, but texts."""
        return self.rank.waiting + self.rank_shown.waiting + self.examples.waiting

    def encode(self, text: str, timeout: float | None = None) -> EncodedQuery:
        """Return a text's vectors, computed or from the cache; see `CachedTextEncoder.encode`."""
        return self.texts.encode(text, timeout)

    async def soon(self, text: str, timeout: float | None, sentence: bool) -> EncodedQuery:
        """Do so for a coroutine; sentence: with the vector of the sentence encoder, where there is one."""
        if not sentence or self.sentences is None:
            return await self.texts.soon(text, timeout)
        meaning = asyncio.ensure_future(self.sentences.soon(text, timeout))
        try:
            encoded, said = await self.texts.soon(text, timeout), await meaning
        finally:
            meaning.cancel()
        return replace(encoded, sentence=said.vector, truncated=encoded.truncated or said.truncated)

    def ahead(self, query: EncodedQuery) -> None:
        """Begin what ranking needs of a query's words alone: while the index is searched, nobody waits.

        Not where it would take a core from calls that wait, or where nothing is ranked. Called in a loop.
        """
        ranker = self.models.ranker
        if isinstance(ranker, ReloRanker) and self.models.held.any() and not self._busy:
            asyncio.get_running_loop().run_in_executor(None, ranker.ahead, query.token_states)

    @property
    def _busy(self) -> bool:
        return self.waiting + self.texts.waiting > 0

    def warm_up(self) -> None:
        """Run the ranker once, so that the first caller does not wait for what happens only once."""
        models = self.models
        models.warm()
        if isinstance(models.encoder, NoEncoder):
            tokens = np.ones((2, models.ranker.token_width), np.float32)
            query = EncodedQuery(shown := np.ones(models.encoder.dim, np.float32), tokens, shown, "")
        else:
            query = self.encode(models.queries.example)
        held = np.flatnonzero(models.held)[:8].astype(np.int32)
        if not len(held):
            return
        # As many as a search ranks, which all threads share; online, each takes milliseconds.
        videos = np.resize(held, _USUAL) if models.ranker.batched else held
        durations = models.features.durations[videos]
        spans = np.stack([np.zeros_like(durations), np.minimum(durations, 8.0)], axis=1)
        ranks, scores = np.arange(len(videos), dtype=np.int32), np.zeros(len(videos), np.float32)
        self.rank(RankQuery.of(query, Proposals(videos, spans, ranks, scores)))


class Scorers:
    """Opens versions for serving. Those with the same models share them, and the caches of texts."""

    def __init__(self, shared: SharedModels, limits: Limits | None = None) -> None:
        self._shared = shared
        self._limits = limits or Limits()
        # By the id of the models, which the text encoders keep alive.
        self._texts: _Shared[CachedTextEncoder[EncodedQuery]] = weakref.WeakValueDictionary()
        self._sentences: _Shared[CachedTextEncoder[EncodedSentence]] = weakref.WeakValueDictionary()

    def open(self, corpus: Corpus, healing: bool = False) -> Scorer:
        """Open a version, warmed up: what is shared with an open one is neither loaded nor warmed again."""
        del healing
        models = self._shared.open(corpus)
        scorer = Scorer(models, Texts(self._texts_of(models), self._sentences_of(models)), self._limits)
        scorer.warm_up()
        return scorer

    def _texts_of(self, models: Models) -> CachedTextEncoder[EncodedQuery]:
        texts = self._texts.get(id(models.queries))
        if texts is None:
            texts = self._texts[id(models.queries)] = self._limits.texts(models.queries)
            for text in TYPICAL if isinstance(models.encoder, Encoder) else ():
                models.queries.encode([text])
        return texts

    def _sentences_of(self, models: Models) -> CachedTextEncoder[EncodedSentence] | None:
        if models.sentences is None:
            return None
        sentences = self._sentences.get(id(models.sentences))
        if sentences is None:
            sentences = self._sentences[id(models.sentences)] = self._limits.sentences(models.sentences)
            for text in TYPICAL:
                sentences.encode(text)
        return sentences
