"""The ranker worker's two services: from messages, compute, to messages."""

import time

import grpc
import numpy as np
from google.protobuf.duration_pb2 import Duration

from engine import wire
from engine.errors import InvalidInput, Mismatch, quoted
from engine.manifest import Manifest
from engine.queries import MOST_SEGMENTS
from engine.types import Doubles, Floats, Ordinals
from spr.internal.v1 import (
    encoder_service_pb2,
    encoder_service_pb2_grpc,
    ranker_service_pb2,
    ranker_service_pb2_grpc,
)
from workers.ranker.scorer import Scorer
from workers.resident import resident_bytes

# Seconds that a proposal may reach beyond its video's end: durations are rounded.
SLACK = 1.0


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
    """Refines proposals of the generation it has open."""

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
        tokens = wire.tensor_from_pb(request.token_states, [None, width], "token_states")
        if not len(tokens):
            message = "token_states has no rows; send what Encode returned."
            raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", "token_states.shape")
        if len(tokens) > wire.MOST_TOKENS:
            message = f"token_states has {len(tokens)} rows; send at most {wire.MOST_TOKENS}."
            raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", "token_states.shape")
        text_embedding = wire.tensor_from_pb(request.text_embedding, [dim], "text_embedding")
        proposals = proposals_from_pb(request, models.contexts.durations)
        ranked = self._scorer.rank(tokens, text_embedding, *proposals, context.time_remaining())
        models.watch.check()
        return ranker_service_pb2.RankResponse(
            ranker_model=models.ranker.name,
            generation=models.manifest.id,
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


def proposals_from_pb(
    request: ranker_service_pb2.RankRequest, durations: Doubles
) -> tuple[Ordinals, Doubles, Floats]:
    """Return videos (n,), spans (n, 2) and scores (n,); InvalidInput unless they agree and make sense.

    durations: seconds of every video.
    """
    ordinals = wire.ints_from_bytes(request.video_ordinals, "video_ordinals")
    seconds = wire.doubles_from_bytes(request.spans, "spans")
    scores = wire.floats_from_bytes(request.scores, "scores")
    if len(ordinals) > MOST_SEGMENTS:
        message = f"There are {len(ordinals)} proposals; send at most {MOST_SEGMENTS}."
        raise InvalidInput(message, field="video_ordinals")
    if not len(seconds) == 2 * len(ordinals) == 2 * len(scores):
        raise InvalidInput(
            f"There are {len(ordinals)} video_ordinals, {len(seconds)} values in spans and {len(scores)} "
            "scores; send one, two and one a proposal.",
            reason="TENSOR_SIZE_MISMATCH",
        )
    if len(ordinals) and not (0 <= ordinals.min() and ordinals.max() < len(durations)):
        message = (
            f"video_ordinals go from {ordinals.min()} to {ordinals.max()}, not 0 to {len(durations) - 1}."
        )
        raise InvalidInput(message, field="video_ordinals")
    # Written so that NaN fails.
    if not (np.abs(scores) <= wire.LARGEST_VALUE).all():
        raise InvalidInput(f"scores hold a value that is not within ±{wire.LARGEST_VALUE:g}.", field="scores")
    spans = seconds.reshape(-1, 2)
    latest = durations[ordinals] + SLACK
    if not ((spans[:, 0] >= 0) & (spans[:, 1] > spans[:, 0]) & (spans[:, 1] <= latest)).all():
        message = "spans hold one that is empty, begins before 0 or ends beyond its video; "
        raise InvalidInput(message + "send [start, end) in seconds.", field="spans")
    return ordinals, spans, scores


def _since(began: float) -> Duration:
    return wire.duration_to_pb(time.perf_counter() - began)
