"""The ranker worker's two services: from messages, compute, to messages."""

import time

import grpc
import numpy as np
from google.protobuf.duration_pb2 import Duration

from engine import wire
from engine.errors import InvalidInput, Mismatch
from engine.types import Doubles, Floats, Ordinals
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
        """Encode one text; Mismatch when the caller expects another embedding model."""
        began = time.perf_counter()
        served = self._scorer.models.manifest.embedding_model
        if request.embedding_model not in ("", served):
            raise Mismatch(
                f"The caller expects embedding model {request.embedding_model}, this worker serves {served}; "
                "serve the same generation everywhere."
            )
        response = wire.encoded_to_pb(self._scorer.encode(request.text, context.time_remaining()))
        response.compute_time.CopyFrom(_since(began))
        return response


class RankerServicer(ranker_service_pb2_grpc.RankerServiceServicer):
    """Refines proposals of the generation it has open."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def Rank(
        self, request: ranker_service_pb2.RankRequest, context: grpc.ServicerContext
    ) -> ranker_service_pb2.RankResponse:
        """Refine and score one query's proposals; rows of the answer are in the request's order."""
        began = time.perf_counter()
        models = self._scorer.models
        if request.generation not in ("", models.manifest.id):
            raise Mismatch(
                f"The caller asks generation {request.generation}, this worker serves {models.manifest.id}; "
                "serve the same generation everywhere.",
                reason="GENERATION_MISMATCH",
            )
        width, dim = models.encoder.token_width, models.encoder.dim
        tokens = wire.tensor_from_pb(request.token_states, [None, width], "token_states")
        if not len(tokens):
            raise InvalidInput("token_states has no rows; send what Encode returned.", "TENSOR_SIZE_MISMATCH")
        text_embedding = wire.tensor_from_pb(request.text_embedding, [dim], "text_embedding")
        proposals = proposals_from_pb(request, len(models.contexts))
        ranked = self._scorer.rank(tokens, text_embedding, *proposals, context.time_remaining())
        models.watch.check()
        return ranker_service_pb2.RankResponse(
            ranker_model=models.ranker.name,
            spans=wire.doubles_to_bytes(ranked.spans),
            scores=wire.doubles_to_bytes(ranked.scores),
            relevances=wire.floats_to_bytes(ranked.relevances),
            refined=ranked.refined.astype(np.uint8).tobytes(),
            compute_time=_since(began),
            confidences=b"" if ranked.confidences is None else wire.floats_to_bytes(ranked.confidences),
            nothing_below=ranked.nothing_below,
        )

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
            videos=len(models.contexts),
            bytes_resident=resident_bytes(),
        )


def proposals_from_pb(
    request: ranker_service_pb2.RankRequest, videos: int
) -> tuple[Ordinals, Doubles, Floats]:
    """Return videos (n,), spans (n, 2) and scores (n,); InvalidInput unless they agree and make sense."""
    ordinals = wire.ints_from_bytes(request.video_ordinals, "video_ordinals")
    seconds = wire.doubles_from_bytes(request.spans, "spans")
    scores = wire.floats_from_bytes(request.scores, "scores")
    if not len(seconds) == 2 * len(ordinals) == 2 * len(scores):
        raise InvalidInput(
            f"There are {len(ordinals)} video_ordinals, {len(seconds)} values in spans and {len(scores)} "
            "scores; send one, two and one a proposal.",
            reason="TENSOR_SIZE_MISMATCH",
        )
    if len(ordinals) and not (0 <= ordinals.min() and ordinals.max() < videos):
        raise InvalidInput(
            f"video_ordinals go from {ordinals.min()} to {ordinals.max()}, not 0 to {videos - 1}."
        )
    spans = seconds.reshape(-1, 2)
    if not (np.isfinite(spans).all() and np.isfinite(scores).all()):
        raise InvalidInput("spans or scores hold a value that is not finite.")
    if not ((spans[:, 0] >= 0) & (spans[:, 1] > spans[:, 0])).all():
        raise InvalidInput("spans hold one that is empty or begins before 0; send [start, end) in seconds.")
    return ordinals, spans, scores


def _since(began: float) -> Duration:
    return wire.duration_to_pb(time.perf_counter() - began)
