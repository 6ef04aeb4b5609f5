"""The ranker worker's two services: from messages, compute, to messages."""

import time

import grpc
from google.protobuf.duration_pb2 import Duration

from engine import wire, wire_rank
from engine.errors import Mismatch, quoted
from engine.manifest import Manifest
from spr.internal.v1 import (
    encoder_service_pb2,
    encoder_service_pb2_grpc,
    ranker_service_pb2,
    ranker_service_pb2_grpc,
)
from workers.ranker.scorer import Scorer
from workers.resident import resident_bytes


class EncoderServicer(encoder_service_pb2_grpc.EncoderServiceServicer):
    """Turns a query's words into vectors."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def Encode(
        self, request: encoder_service_pb2.EncodeRequest, context: grpc.ServicerContext
    ) -> encoder_service_pb2.EncodeResponse:
        """Encode one text; Mismatch when the caller expects another generation or embedding model."""
        began = time.perf_counter()
        served = self._scorer.models.manifest
        check_pinned(request, served)
        response = wire.encoded_to_pb(self._scorer.encode(request.text, context.time_remaining()))
        response.generation = served.id
        response.compute_time.CopyFrom(_since(began))
        return response


class RankerServicer(ranker_service_pb2_grpc.RankerServiceServicer):
    """Refines and scores proposals of one generation."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def Rank(
        self, request: ranker_service_pb2.RankRequest, context: grpc.ServicerContext
    ) -> ranker_service_pb2.RankResponse:
        """Refine and score one query's proposals; rows of the answer are in the request's order."""
        began = time.perf_counter()
        models = self._scorer.models
        check_pinned(request, models.manifest)
        width, dim = models.encoder.token_width, models.encoder.dim
        query = wire_rank.query_from_pb(request, width, dim, models.features.durations)
        response = wire_rank.ranked_to_pb(self._scorer.rank(query, context.time_remaining()))
        models.watch.check()
        response.generation = models.manifest.id
        response.compute_time.CopyFrom(_since(began))
        return response

    def GetRankerInfo(
        self, request: ranker_service_pb2.GetRankerInfoRequest, context: grpc.ServicerContext
    ) -> ranker_service_pb2.GetRankerInfoResponse:
        """Say which models this worker speaks for."""
        models = self._scorer.models
        return ranker_service_pb2.GetRankerInfoResponse(
            ranker_model=models.ranker.name,
            embedding_model=models.manifest.embedding_model,
            generation=models.manifest.id,
            device=str(models.device),
            videos=len(models.features),
            bytes_resident=resident_bytes(),
        )


def check_pinned(
    request: encoder_service_pb2.EncodeRequest | ranker_service_pb2.RankRequest, manifest: Manifest
) -> None:
    """Refuse (Mismatch) a request for another generation or embedding model."""
    if request.generation != manifest.id:
        raise Mismatch(
            f"The caller asks generation {quoted(request.generation)}, this worker serves {manifest.id}; "
            "serve the same generation everywhere.",
            reason="GENERATION_MISMATCH",
        )
    if request.embedding_model != manifest.embedding_model:
        raise Mismatch(
            f"The caller expects embedding model {quoted(request.embedding_model)}, this worker serves "
            f"{manifest.embedding_model}; serve the same generation everywhere."
        )


def _since(began: float) -> Duration:
    return wire.duration_to_pb(time.perf_counter() - began)
