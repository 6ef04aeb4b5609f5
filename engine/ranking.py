"""The ranker workers as the coordinator sees them: encode a sentence, rank proposals, order moments."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import grpc.aio
import numpy as np
from numpy.typing import NDArray

from engine import calls, faults, logs, tracing, wire, wire_examples, wire_explain, wire_rank
from engine.config import CoordinatorConfig
from engine.corpus import Corpus
from engine.deadline import Deadline
from engine.entries import Version
from engine.errors import DeadlineExceeded, InvalidInput, Mismatch, Overloaded, SprError, Unavailable, quoted
from engine.examples import Source
from engine.explanations import Compared
from engine.fleet import Fleet, RankerStubs
from engine.hedging import Hedging
from engine.racing import NOT_HELD
from engine.replicas import NO_WORKER, SILENT
from engine.types import EncodedQuery, Floats, Moments, Proposals, Ranked, RankQuery
from spr.internal.v1.encoder_service_pb2 import EncodeRequest, EncodeResponse
from spr.internal.v1.ranker_service_pb2 import CompareRequest

_log = logging.getLogger("spr.ranking")
# Why no worker can be asked of a version, which is not the caller's fault.
_NOBODY = {SILENT, NO_WORKER, NOT_HELD}
SLOWEST_RANKING = 1.0  # seconds after which a second worker is asked at the latest


class Rankers:
    """The ranker workers, asked about one version. encoding, ranking: hedging of the collection's calls."""

    def __init__(
        self, corpus: Corpus, fleet: Fleet, config: CoordinatorConfig, encoding: Hedging, ranking: Hedging
    ) -> None:
        self._version = corpus.version
        self._config = config
        self._workers = fleet.rankers
        self._encoding, self._ranking = encoding, ranking
        self._comparing, self._showing = Hedging(), Hedging()
        self._fault, self._unencoded = logs.Fault(_log, "ranking"), logs.Fault(_log, "encoding")

    async def encode(self, text: str, deadline: Deadline, in_texts: bool = True) -> EncodedQuery:
        """Return a sentence as the models see it; Unavailable NO_ENCODER when no worker answers in time.

        in_texts: the version's sentence encoder, where it has one, is among the models.
        """
        model = self._version.embedding_model
        request = EncodeRequest(
            request_id=logs.request_id.get(),
            embedding_model=model,
            text=text,
            generation=self._version.id,
            sentence=in_texts and _sentence_dim(self._version) > 0,
        )

        async def attempt(stubs: RankerStubs) -> EncodedQuery:
            left, metadata = deadline.left(), tracing.outgoing()
            answering = stubs.encoder.Encode(request, timeout=left, metadata=metadata)
            return self._encoded(await calls.answer(answering))

        return await self._answered(attempt, self._encoding, deadline)

    async def encode_examples(self, sources: Sequence[Source], deadline: Deadline) -> EncodedQuery:
        """Return the mean of examples as the models see it; errors as those of `encode`.

        InvalidInput for an example that cannot be used.
        """
        request = wire_examples.sources_to_pb(sources)
        request.request_id = logs.request_id.get()
        request.generation = self._version.id
        request.embedding_model = self._version.embedding_model

        async def attempt(stubs: RankerStubs) -> EncodedQuery:
            left, metadata = deadline.left(), tracing.outgoing()
            answering = stubs.encoder.EncodeExamples(request, timeout=left, metadata=metadata)
            return replace(self._encoded(await calls.answer(answering)), shown=True)

        return await self._answered(attempt, self._showing, deadline)

    async def _answered(
        self, attempt: Callable[[RankerStubs], Awaitable[EncodedQuery]], hedging: Hedging, deadline: Deadline
    ) -> EncodedQuery:
        """Return what an encoder answers."""
        began = time.monotonic()
        try:
            hedge_after = self._config.hedge_after
            encoded = await self._workers.call(attempt, hedging, hedge_after, self._version.id)
        except (grpc.aio.AioRpcError, SprError) as failure:
            if isinstance(failure, SprError) and failure.reason not in _NOBODY:
                raise
            error = failure if isinstance(failure, SprError) else faults.error_of(failure, "encoder")
            late = isinstance(error, DeadlineExceeded) and error.reason != SILENT
            if late and time.monotonic() - began < self._config.shard_timeout:
                # A caller in a hurry, not a worker that is stuck.
                message = "the deadline passed while the query was encoded; give it more time"
                raise DeadlineExceeded(message) from None
            if isinstance(error, Unavailable | DeadlineExceeded) or error.reason in _NOBODY:
                told = failure if isinstance(failure, SprError) else faults.told_by(failure)
                self._unencoded.happened(told, error.reason)
                message = "no encoder answers; look at `spr admin status`"
                raise Unavailable(message, "NO_ENCODER") from None
            raise error from None
        self._unencoded.over()
        return encoded

    def _encoded(self, response: EncodeResponse) -> EncodedQuery:
        """Read an encoder's answer; Mismatch if it cannot be used with this version."""
        model = self._version.embedding_model
        try:
            encoded = wire.encoded_from_pb(response, self._version.dim, _sentence_dim(self._version))
        except InvalidInput as error:
            raise Mismatch(f"the encoder answered what cannot be used: {error}") from None
        if encoded.model_id != model:
            raise Mismatch(f"the encoder is {quoted(encoded.model_id)}, the version needs {model}")
        _check_version(response.generation, self._version.id, "encoder")
        return encoded

    async def rank(
        self, query: EncodedQuery, proposals: Proposals, deadline: Deadline, searched: int | None = None
    ) -> Ranked | None:
        """Return the ranker's answer for all proposals, None when none answers in time.

        searched: the videos that were searched for them, None for all. Overloaded when every worker refuses
        it for now.
        """
        request = wire_rank.query_to_pb(RankQuery.of(query, proposals, searched))
        request.request_id = logs.request_id.get()
        request.generation = self._version.id
        request.embedding_model = self._version.embedding_model

        async def attempt(stubs: RankerStubs) -> Ranked:
            left, metadata = deadline.left(), tracing.outgoing()
            response = await calls.answer(stubs.ranker.Rank(request, timeout=left, metadata=metadata))
            _check_version(response.generation, self._version.id, "ranker")
            return wire_rank.ranked_from_pb(response, len(proposals))

        try:
            # Ranking is the costly stage: until it is known how long it takes, a second worker is asked late.
            longest = min(SLOWEST_RANKING, deadline.left() / 2) if self._config.hedge_after else 0.0
            ranked = await self._workers.call(attempt, self._ranking, longest, self._version.id)
        except (grpc.aio.AioRpcError, SprError) as failure:
            error = failure if isinstance(failure, SprError) else faults.error_of(failure, "ranker")
            told = failure if isinstance(failure, SprError) else faults.told_by(failure)
            self._fault.happened(told, error.reason)
            if isinstance(error, Overloaded):
                raise error from None
            return None
        self._fault.over()
        return ranked

    async def compare(self, query: EncodedQuery, video: int, deadline: Deadline) -> Compared | None:
        """Return how similar a query is to every second of a video, None when no worker says so in time."""
        request = CompareRequest(
            request_id=logs.request_id.get(),
            generation=self._version.id,
            embedding_model=self._version.embedding_model,
            text_embedding=wire.tensor_to_pb(query.text_embedding),
            video_ordinal=video,
        )

        async def attempt(stubs: RankerStubs) -> Compared:
            response = await calls.answer(stubs.ranker.Compare(request, timeout=deadline.left()))
            _check_version(response.generation, self._version.id, "ranker")
            return wire_explain.compared_from_pb(response)

        try:
            return await self._workers.call(attempt, self._comparing, 0.0, self._version.id)
        except (grpc.aio.AioRpcError, SprError) as failure:
            told = failure if isinstance(failure, SprError) else faults.told_by(failure)
            _log.warning("no ranker compares a query with a video: %s", told)
            return None


def _sentence_dim(version: Version) -> int:
    """Return the width of a sentence's vector, 0 for a version without sentence encoder."""
    return version.texts.dim if version.texts is not None and version.texts.encoder is not None else 0


def coarse(proposals: Proposals) -> Moments:
    """Return the proposals as they are, in their order, as unrefined moments."""
    n = len(proposals)
    return Moments(
        videos=proposals.videos,
        spans=proposals.spans,
        scores=proposals.scores.astype(np.float64),
        relevances=np.zeros(n, np.float32),
        proposals=np.arange(n, dtype=np.int32),
        refined=np.zeros(n, dtype=bool),
    )


def ordered(proposals: Proposals, ranked: Ranked) -> Moments:
    """Return the moments, best first: what was ranked by the ranker's score, then the rest in coarse order.

    The ranked proposals are the first rows. A row that was ranked but not refined keeps its own span and the
    ranker's score. Equal scores stay in coarse order.
    """
    moments = coarse(proposals)
    n = len(ranked)
    order = np.concatenate([np.argsort(-ranked.scores, kind="stable"), np.arange(n, len(proposals))])
    return Moments(
        videos=moments.videos[order],
        spans=np.concatenate([ranked.spans, moments.spans[n:]])[order],
        scores=np.concatenate([ranked.scores, moments.scores[n:]])[order],
        relevances=np.concatenate([ranked.relevances, moments.relevances[n:]])[order],
        proposals=moments.proposals[order],
        refined=np.concatenate([ranked.refined, moments.refined[n:]])[order],
        confidences=_confidences(ranked, len(proposals), order),
        best=np.concatenate([ranked.shown, np.full(len(proposals) - n, np.nan)])[order],
        confidence_threshold=ranked.confidence_threshold,
    )


def _confidences(ranked: Ranked, n: int, order: NDArray[np.intp]) -> Floats | None:
    if ranked.confidences is None:
        return None
    unseen = np.full(n - len(ranked), np.nan, np.float32)
    return np.concatenate([ranked.confidences, unseen])[order]


def take(proposals: Proposals, n: int | None) -> Proposals:
    """Return the first `n` proposals; all when None."""
    return proposals.of(slice(n))


def _check_version(answered: str, served: str, who: str) -> None:
    if answered != served:
        message = f"the {who} answered from version {quoted(answered)}, this is {served}"
        raise Mismatch(message, "GENERATION_MISMATCH")
