"""The ranker worker's two services: from messages, compute, to messages.

Coroutines: a call that waits for its batch holds no thread, and one whose caller has gone, or whose deadline
has passed, is cancelled and is not computed.
"""

import asyncio
import time
from typing import Any, TypeAlias

import grpc.aio
import numpy as np
from google.protobuf.duration_pb2 import Duration

from engine import logs, tracing, wire, wire_examples, wire_explain, wire_rank
from engine.errors import Mismatch, quoted
from spr.internal.v1 import (
    encoder_service_pb2,
    encoder_service_pb2_grpc,
    ranker_service_pb2,
    ranker_service_pb2_grpc,
)
from workers import outcomes
from workers.duty import Duty
from workers.ranker.examples import Asked
from workers.ranker.scorer import Scorer
from workers.ranker.scoring.compare import compare
from workers.resident import resident_bytes
from workers.versions import Held

_Outcome: TypeAlias = ranker_service_pb2.RankTogetherResponse.Outcome
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class EncoderServicer(encoder_service_pb2_grpc.EncoderServiceServicer):
    """Turns a query's words and examples into vectors, by the models of the version that is asked."""

    def __init__(self, held: Held[Scorer], duty: Duty) -> None:
        self._held, self._duty = held, duty

    async def Encode(
        self, request: encoder_service_pb2.EncodeRequest, context: Context
    ) -> encoder_service_pb2.EncodeResponse:
        """Encode one text; Mismatch for a version that is not held or has another embedding model."""
        began = time.perf_counter()
        scorer = self._held.get(request.generation)
        check_model(request.embedding_model, scorer)
        tracing.note(version=request.generation, characters=len(request.text))
        with self._duty:
            left = context.time_remaining()
            encoded = await scorer.soon(request.text, left, request.sentence)
        scorer.ahead(encoded)
        response = wire.encoded_to_pb(encoded)
        response.generation = request.generation
        response.compute_time.CopyFrom(_since(began))
        return response

    async def EncodeExamples(
        self, request: encoder_service_pb2.EncodeExamplesRequest, context: Context
    ) -> encoder_service_pb2.EncodeResponse:
        """Encode examples; InvalidInput names the field of one that cannot be used."""
        began = time.perf_counter()
        scorer = self._held.get(request.generation)
        check_model(request.embedding_model, scorer)
        models = scorer.models
        sizes = models.queries.shown, models.version.dim, len(models.features)
        asked = Asked(wire_examples.sources_from_pb(request, *sizes), request.alone)
        tracing.note(version=request.generation, examples=len(asked.sources))
        with self._duty:
            scorer.check_in_turn()  # a map of a file that was cut ends the process
            encoded = await scorer.examples.soon(asked, context.time_remaining())
            scorer.check_in_turn()
        response = wire.encoded_to_pb(encoded)
        response.generation = request.generation
        response.compute_time.CopyFrom(_since(began))
        return response


class RankerServicer(ranker_service_pb2_grpc.RankerServiceServicer):
    """Refines and scores proposals of the versions that are held."""

    def __init__(self, held: Held[Scorer], device: str, duty: Duty) -> None:
        self._held, self._duty = held, duty
        self._device = device

    async def Rank(
        self, request: ranker_service_pb2.RankRequest, context: Context
    ) -> ranker_service_pb2.RankResponse:
        """Refine and score one query's proposals; rows of the answer are in the request's order."""
        began = time.perf_counter()
        scorer = self._held.get(request.generation)
        check_model(request.embedding_model, scorer)
        models = scorer.models
        query = wire_rank.query_from_pb(request, *models.widths, models.features.durations)
        tracing.note(version=request.generation, proposals=len(query.videos))
        if query.found is None:
            models.check_held(query.videos)
        scorer.check_in_turn()  # a map of a file that was cut ends the process
        with self._duty:
            rank = scorer.rank if len(query.token_states) else scorer.rank_shown
            response = wire_rank.ranked_to_pb(await rank.soon(query, context.time_remaining()))
        scorer.check_in_turn()
        response.generation = request.generation
        response.compute_time.CopyFrom(_since(began))
        return response

    async def RankTogether(
        self, request: ranker_service_pb2.RankTogetherRequest, context: Context
    ) -> ranker_service_pb2.RankTogetherResponse:
        """Answer several requests at the same time, each as `Rank` does."""
        outcomes.check(len(request.requests))

        async def outcome(one: ranker_service_pb2.RankRequest) -> _Outcome:
            try:
                logs.bind_request_id(one.request_id)
                return _Outcome(response=await self.Rank(one, context))
            except Exception as error:
                return _Outcome(status=outcomes.refused(error, "Rank"))

        # A task for each, since each binds its own request id.
        answers = await asyncio.gather(*map(outcome, request.requests))
        return ranker_service_pb2.RankTogetherResponse(outcomes=answers)

    async def Compare(
        self, request: ranker_service_pb2.CompareRequest, context: Context
    ) -> ranker_service_pb2.CompareResponse:
        """Say how similar a text is to every second of one video."""
        scorer = self._held.get(request.generation)
        check_model(request.embedding_model, scorer)
        models = scorer.models
        text = wire_explain.text_from_pb(request, models.widths[1], len(models.features))
        models.check_held(np.array([request.video_ordinal]))
        with self._duty:
            scorer.check()
            response = wire_explain.compared_to_pb(compare(text, models.features, request.video_ordinal))
            scorer.check()
        response.generation = request.generation
        return response

    async def GetRankerInfo(
        self, request: ranker_service_pb2.GetRankerInfoRequest, context: Context
    ) -> ranker_service_pb2.GetRankerInfoResponse:
        """Say which versions this worker holds, and what is wrong with them."""
        return ranker_service_pb2.GetRankerInfoResponse(
            device=self._device,
            bytes_resident=resident_bytes(),
            held=self._held.listing(),
            report=self._duty.report(),
        )


def check_model(expected: str, scorer: Scorer) -> None:
    """Refuse (Mismatch) a request for another embedding model."""
    serves = scorer.models.queries.embedding_model
    if expected != serves:
        raise Mismatch(
            f"The caller expects embedding model {quoted(expected)}, version {scorer.models.corpus.id} has "
            f"{serves}; send what Encode returned for the version."
        )


def _since(began: float) -> Duration:
    return wire.duration_to_pb(time.perf_counter() - began)
