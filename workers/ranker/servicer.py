"""The ranker worker's two services: from messages, compute, to messages."""

import time

import grpc
from google.protobuf.duration_pb2 import Duration

from engine import wire, wire_explain, wire_rank
from engine.errors import Mismatch, quoted
from spr.internal.v1 import (
    encoder_service_pb2,
    encoder_service_pb2_grpc,
    ranker_service_pb2,
    ranker_service_pb2_grpc,
)
from workers.ranker.scorer import Scorer
from workers.ranker.scoring.compare import compare
from workers.resident import resident_bytes
from workers.versions import Held


class EncoderServicer(encoder_service_pb2_grpc.EncoderServiceServicer):
    """Turns a query's words into vectors, by the models of the version that is asked."""

    def __init__(self, held: Held[Scorer]) -> None:
        self._held = held

    def Encode(
        self, request: encoder_service_pb2.EncodeRequest, context: grpc.ServicerContext
    ) -> encoder_service_pb2.EncodeResponse:
        """Encode one text; Mismatch for a version that is not held or has another embedding model."""
        began = time.perf_counter()
        scorer = self._held.get(request.generation)
        check_model(request.embedding_model, scorer)
        response = wire.encoded_to_pb(scorer.encode(request.text, context.time_remaining()))
        response.generation = request.generation
        response.compute_time.CopyFrom(_since(began))
        return response


class RankerServicer(ranker_service_pb2_grpc.RankerServiceServicer):
    """Refines and scores proposals of the versions that are held."""

    def __init__(self, held: Held[Scorer], device: str) -> None:
        self._held = held
        self._device = device

    def Rank(
        self, request: ranker_service_pb2.RankRequest, context: grpc.ServicerContext
    ) -> ranker_service_pb2.RankResponse:
        """Refine and score one query's proposals; rows of the answer are in the request's order."""
        began = time.perf_counter()
        scorer = self._held.get(request.generation)
        check_model(request.embedding_model, scorer)
        models = scorer.models
        width, dim = models.encoder.token_width, models.encoder.dim
        query = wire_rank.query_from_pb(request, width, dim, models.features.durations)
        scorer.check()  # a map of a file that was cut ends the process
        response = wire_rank.ranked_to_pb(scorer.rank(query, context.time_remaining()))
        scorer.check()
        response.generation = request.generation
        response.compute_time.CopyFrom(_since(began))
        return response

    def Compare(
        self, request: ranker_service_pb2.CompareRequest, context: grpc.ServicerContext
    ) -> ranker_service_pb2.CompareResponse:
        """Say how similar a text is to every second of one video."""
        scorer = self._held.get(request.generation)
        check_model(request.embedding_model, scorer)
        models = scorer.models
        text = wire_explain.text_from_pb(request, models.encoder.dim, len(models.features))
        scorer.check()
        response = wire_explain.compared_to_pb(compare(text, models.features, request.video_ordinal))
        scorer.check()
        response.generation = request.generation
        return response

    def GetRankerInfo(
        self, request: ranker_service_pb2.GetRankerInfoRequest, context: grpc.ServicerContext
    ) -> ranker_service_pb2.GetRankerInfoResponse:
        """Say which versions this worker holds, and what is wrong with them."""
        return ranker_service_pb2.GetRankerInfoResponse(
            device=self._device, bytes_resident=resident_bytes(), held=self._held.listing()
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
