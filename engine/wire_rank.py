"""The messages of ranking <-> RankQuery and Ranked. What comes in is checked here, once."""

import numpy as np

from engine import wire
from engine.errors import InvalidInput, Mismatch
from engine.queries import MOST_SEGMENTS
from engine.texts import LISTS
from engine.types import Doubles, Floats, Ordinals, Ranked, RankQuery
from spr.internal.v1.ranker_service_pb2 import RankRequest, RankResponse

# Seconds that a proposal may reach beyond its video's end: durations are rounded.
SLACK = 1.0
LATEST = 1e9  # seconds from a video's first frame
LARGEST_SHARE = 1.01  # of what a text list says of a proposal
LARGEST_SCORE = 1e38  # a score goes out as float32


def query_to_pb(query: RankQuery) -> RankRequest:
    """Return a query's proposals as a request; the caller adds its id, the version and the model."""
    return RankRequest(
        token_states=wire.tensor_to_pb(query.token_states),
        text_embedding=wire.tensor_to_pb(query.text_embedding),
        video_ordinals=wire.ints_to_bytes(query.videos),
        spans=wire.doubles_to_bytes(query.spans),
        scores=wire.floats_to_bytes(query.scores),
        videos_searched=query.searched or 0,
        texts=b"" if query.texts is None else wire.floats_to_bytes(query.texts),
        part=query.part,
        found=b"" if query.found is None else wire.doubles_to_bytes(query.found),
    )


def query_from_pb(
    request: RankRequest, token_width: int | None, dim: int | None, durations: Doubles
) -> RankQuery:
    """Return what a request asks to rank; InvalidInput unless its columns agree and make sense.

    token_width, dim: of token states and text embedding; None: any. durations: seconds of every video.
    """
    token_states = wire.tensor_from_pb(request.token_states, [None, token_width], "token_states")
    if len(token_states) > wire.MOST_TOKENS:
        message = f"token_states has {len(token_states)} rows; send what Encode returned, "
        message += f"at most {wire.MOST_TOKENS} of them."
        raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", "token_states.shape")
    text_embedding = wire.tensor_from_pb(request.text_embedding, [dim], "text_embedding")
    searched = request.videos_searched
    if searched > len(durations):
        message = f"videos_searched is {searched}; the version has {len(durations)} videos."
        raise InvalidInput(message, field="videos_searched")
    videos, spans, scores = _proposals_from_pb(request, durations)
    texts = _texts_from_pb(request.texts, len(videos))
    found = found_from_pb(request.found, len(videos)) if request.found else None
    columns = (videos, spans, scores, searched or None, texts)
    return RankQuery(token_states, text_embedding, *columns, request.part, found)


def ranked_to_pb(ranked: Ranked | Doubles) -> RankResponse:
    """Return an answer as a response, to a part what was found; the caller adds version and time."""
    if not isinstance(ranked, Ranked):
        return RankResponse(found=wire.doubles_to_bytes(ranked))
    return RankResponse(
        ranker_model=ranked.ranker,
        spans=wire.doubles_to_bytes(ranked.spans),
        scores=wire.doubles_to_bytes(ranked.scores),
        relevances=wire.floats_to_bytes(ranked.relevances),
        refined=ranked.refined.astype(np.uint8).tobytes(),
        confidences=b"" if ranked.confidences is None else wire.floats_to_bytes(ranked.confidences),
        confidence_threshold=ranked.confidence_threshold,
        texts_weighed=ranked.texts_weighed,
        best=b"" if ranked.best is None else wire.doubles_to_bytes(ranked.best),
    )


def ranked_from_pb(response: RankResponse, proposals: int) -> Ranked:
    """Return the ranker's answer for so many proposals; Mismatch if it cannot be used."""
    spans = wire.doubles_from_bytes(response.spans, "spans")
    scores = wire.doubles_from_bytes(response.scores, "scores")
    relevances = wire.floats_from_bytes(response.relevances, "relevances")
    refined = np.frombuffer(response.refined, np.uint8).astype(bool)
    if not proposals == len(spans) / 2 == len(scores) == len(relevances) == len(refined):
        raise Mismatch(f"the ranker answered {len(scores)} of {proposals} proposals")
    # Written so that NaN fails; within these bounds values fit into the messages of an answer.
    if not ((spans >= 0) & (spans <= LATEST)).all() or not (np.abs(scores) <= LARGEST_SCORE).all():
        raise Mismatch("the ranker answered a span or score that is not finite, or absurd")
    columns = (spans.reshape(-1, 2), scores, relevances, refined)
    sure = _confidences_from_pb(response, proposals)
    best = _best_from_pb(response, proposals)
    return Ranked(response.ranker_model, *columns, *sure, texts_weighed=response.texts_weighed, best=best)


def found_from_pb(data: bytes, proposals: int) -> Doubles:
    """Return what was found in so many proposals, (proposals, columns), NaN where a row has no more."""
    found = wire.doubles_from_bytes(data, "found")
    if not proposals or not len(found) or len(found) % proposals:
        message = f"found has {len(found)} values for {proposals} proposals; send as many of each"
        raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", "found")
    if not (np.isnan(found) | (np.abs(found) <= LATEST)).all():
        raise InvalidInput(f"found holds a value that is not within ±{LATEST:g}.", field="found")
    return found.reshape(proposals, -1)


def _proposals_from_pb(request: RankRequest, durations: Doubles) -> tuple[Ordinals, Doubles, Floats]:
    """Return videos (n,), spans (n, 2) and scores (n,)."""
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
            "TENSOR_SIZE_MISMATCH",
            "scores" if len(seconds) == 2 * len(ordinals) else "spans",
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


def _texts_from_pb(data: bytes, proposals: int) -> Floats | None:
    """Return (proposals, 4), None where no text was searched."""
    if not data:
        return None
    texts = wire.floats_from_bytes(data, "texts")
    if len(texts) != proposals * len(LISTS):
        message = f"texts has {len(texts)} values for {proposals} proposals; send {len(LISTS)} a proposal."
        raise InvalidInput(message, "TENSOR_SIZE_MISMATCH", "texts")
    # Written so that NaN fails; shares and cosines, which may be rounded.
    if not (np.abs(texts) <= LARGEST_SHARE).all():
        raise InvalidInput(f"texts holds a value that is not within ±{LARGEST_SHARE:g}.", field="texts")
    return texts.reshape(-1, len(LISTS))


def _confidences_from_pb(response: RankResponse, proposals: int) -> tuple[Floats | None, float | None]:
    """Return confidences (n,) and their threshold, None both where the ranker says none."""
    if not response.HasField("confidence_threshold"):
        if response.confidences:
            raise Mismatch("the ranker answered confidences without their threshold")
        return None, None
    confidences = wire.floats_from_bytes(response.confidences, "confidences")
    # Written so that NaN fails.
    probabilities = bool(((confidences >= 0) & (confidences <= 1)).all())
    if len(confidences) != proposals or not probabilities or not 0 <= response.confidence_threshold <= 1:
        raise Mismatch("the ranker answered confidences that are no probabilities, or not one a proposal")
    return confidences, response.confidence_threshold


def _best_from_pb(response: RankResponse, proposals: int) -> Doubles | None:
    """Return (n,) seconds, NaN where none is known; None from a worker that says none."""
    if not response.best:
        return None
    best = wire.doubles_from_bytes(response.best, "best")
    if len(best) != proposals or not (np.isnan(best) | ((best >= 0) & (best <= LATEST))).all():
        raise Mismatch("the ranker answered a best second that is absurd, or not one a proposal")
    return best
