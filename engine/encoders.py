"""Those who encode as the coordinator sees them: a sentence, or examples, to vectors."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import grpc.aio
import numpy as np

from engine import by_shard, calls, faults, logs, tracing, wire, wire_examples
from engine.config import CoordinatorConfig
from engine.corpus import Corpus
from engine.deadline import Deadline
from engine.entries import Version
from engine.errors import DeadlineExceeded, InvalidInput, Mismatch, SprError, Unavailable, quoted
from engine.examples import Shown, Source, Span
from engine.fleet import Fleet, RankerStubs
from engine.hedging import Hedging
from engine.racing import NOT_HELD
from engine.replicas import NO_WORKER, SILENT, Replicas
from engine.types import EncodedQuery
from spr.internal.v1.encoder_service_pb2 import EncodeExamplesRequest, EncodeRequest, EncodeResponse

_log = logging.getLogger("spr.ranking")
# Why no worker can be asked of a version, which is not the caller's fault.
_NOBODY = {SILENT, NO_WORKER, NOT_HELD}


class Encoders:
    """Encoders, or the ranker workers in their place, asked about one version.

    encoding: hedging of the collection's calls.
    """

    def __init__(self, corpus: Corpus, fleet: Fleet, config: CoordinatorConfig, encoding: Hedging) -> None:
        self._corpus, self._version, self._config = corpus, corpus.version, config
        self._workers, self._encoders = fleet.rankers, fleet.encoders
        self._encoding, self._showing = encoding, Hedging()
        self._unencoded = logs.Fault(_log, "encoding")

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

        return await self._answered(attempt, self._encoding, deadline, self._encoders)

    async def encode_examples(self, sources: Sequence[Source], deadline: Deadline) -> EncodedQuery:
        """Return the mean of examples as the models see it; errors as those of `encode`.

        InvalidInput for an example that cannot be used.
        """
        if self._encoders is not self._workers or self._workers.split:
            # Who encodes may lack the frames of a span: who has them says what it shows.
            sources = await calls.together(self._made(source, deadline) for source in sources)
        request = wire_examples.sources_to_pb(sources)
        return replace(await self._examples(request, deadline, self._encoders), shown=True)

    async def _made(self, source: Source, deadline: Deadline) -> Source:
        """Return a source that any encoder can read."""
        if not isinstance(source, Span):
            return source
        request = wire_examples.sources_to_pb([source])
        request.alone = True
        shards = by_shard.names(self._corpus, np.array([source.video]))
        shown = await self._examples(request, deadline, self._workers, shards)
        return Shown(shown.embedding, shown.text_embedding)

    async def _examples(
        self,
        request: EncodeExamplesRequest,
        deadline: Deadline,
        workers: Replicas[RankerStubs],
        shards: frozenset[str] = frozenset(),
    ) -> EncodedQuery:
        request.request_id = logs.request_id.get()
        request.generation = self._version.id
        request.embedding_model = self._version.embedding_model

        async def attempt(stubs: RankerStubs) -> EncodedQuery:
            left, metadata = deadline.left(), tracing.outgoing()
            answering = stubs.encoder.EncodeExamples(request, timeout=left, metadata=metadata)
            return self._encoded(await calls.answer(answering))

        return await self._answered(attempt, self._showing, deadline, workers, shards)

    async def _answered(
        self,
        attempt: Callable[[RankerStubs], Awaitable[EncodedQuery]],
        hedging: Hedging,
        deadline: Deadline,
        workers: Replicas[RankerStubs],
        shards: frozenset[str] = frozenset(),
    ) -> EncodedQuery:
        """Return what an encoder answers."""
        began = time.monotonic()
        try:
            hedge_after = self._config.hedge_after
            encoded = await workers.call(attempt, hedging, hedge_after, self._version.id, shards)
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
        check_version(response.generation, self._version.id, "encoder")
        return encoded


def _sentence_dim(version: Version) -> int:
    """Return the width of a sentence's vector, 0 for a version without sentence encoder."""
    return version.texts.dim if version.texts is not None and version.texts.encoder is not None else 0


def check_version(answered: str, served: str, who: str) -> None:
    """Refuse (Mismatch) an answer from another version."""
    if answered != served:
        message = f"the {who} answered from version {quoted(answered)}, this is {served}"
        raise Mismatch(message, "GENERATION_MISMATCH")
