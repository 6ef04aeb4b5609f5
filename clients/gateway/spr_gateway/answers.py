"""Answers of the service as the page reads them: JSON values."""

from typing import Any

from spr.v1 import search_service_pb2 as pb
from spr.v1.standing_service_pb2 import Match
from spr_client import Coverage, Curve, Moment, SearchError
from spr_client.translate import explanation_from_pb, result_from_pb
from spr_gateway.evidence import found_by, source, span

_STATUS = {
    "InvalidInput": 400,
    "NotFound": 404,
    "Mismatch": 409,
    "Unauthenticated": 401,
    "PermissionDenied": 403,
    "Overloaded": 429,
    "Unavailable": 503,
    "DeadlineExceeded": 504,
}


def result(answer: pb.SearchResponse, refined: bool | None = None) -> dict[str, Any]:
    """Return one page of an answer. took: milliseconds by stage. refined: None reads it off the answer."""
    found = result_from_pb(answer, refined)
    return {
        "stage": "refined" if found.refined else "coarse",
        "moments": [
            moment(one) | _beyond(sent) for one, sent in zip(found.moments, answer.moments, strict=True)
        ],
        "total": found.total,
        "next": found.next_page,
        "coverage": coverage(found.coverage),
        "ranker": found.ranker,
        "collection": found.collection,
        "noConfidentMatch": found.no_confident_match,
        "threshold": found.confidence_threshold,
        "truncated": found.query_truncated,
        "took": {stage: round(1000 * seconds, 2) for stage, seconds in found.timings.items()},
        "facets": [{"label": one.label, "videos": one.videos} for one in found.facets],
        "allowed": found.videos_allowed,
        "interpretation": _understood(answer) if answer.HasField("interpretation") else None,
    }


def _beyond(sent: Any) -> dict[str, Any]:
    """Return what found a moment, its parts, and where else the same pictures are."""
    also = [{"video": one.video_id, "span": span(one.span)} for one in sent.also_in]
    return {"foundBy": found_by(sent), "parts": [span(one) for one in sent.parts], "also": also}


def _understood(answer: pb.SearchResponse) -> dict[str, Any]:
    """Return what was made of the text."""
    read = answer.interpretation
    return {
        "text": read.text,
        "then": list(read.then_texts),
        "not": list(read.not_texts),
        "lifts": [{"words": lift.words, "meaning": lift.meaning} for lift in read.lifts],
    }


def moment(one: Moment) -> dict[str, Any]:
    """Return a moment. Times are seconds."""
    return {
        "video": one.video,
        "start": round(one.start, 3),
        "end": round(one.end, 3),
        "rank": one.rank,
        "score": one.score,
        "confidence": one.confidence,
        "refined": one.refined,
        "proposal": [round(one.proposal_start, 3), round(one.proposal_end, 3)],
        "best": None if one.best is None else round(one.best, 3),
    }


def match(one: Match, text: str) -> dict[str, Any]:
    """Return a match of a standing search for a text. Times are seconds."""
    start, end = one.span.start_offset, one.span.end_offset
    return {
        "number": one.number,
        "name": one.name,
        "text": text,
        "video": one.video_id,
        "start": round(start.seconds + start.nanos / 1e9, 3),
        "end": round(end.seconds + end.nanos / 1e9, 3),
        "confidence": one.confidence,
        "time": one.create_time.ToJsonString(),
    }


def coverage(part: Coverage) -> dict[str, Any]:
    """Return how much of the corpus was searched."""
    return {
        "videos": part.videos_total,
        "searched": part.videos_searched,
        "degraded": list(part.degraded),
        "unreachable": list(part.unreachable),
    }


def explanation(sent: pb.ExplainResponse) -> dict[str, Any]:
    """Return why moments of a video were found."""
    why = explanation_from_pb(sent)
    return {
        "video": why.video,
        "duration": why.duration,
        "segments": [
            {"start": s.start, "end": s.end, "score": s.score, "rank": s.rank} | source(row)
            for s, row in zip(why.segments, sent.segments, strict=True)
        ],
        "moments": [
            moment(one) | {"foundBy": found_by(row)}
            for one, row in zip(why.moments, sent.moments, strict=True)
        ],
        "frames": curve(why.frames),
        "subtitles": curve(why.subtitles),
        "ranker": why.ranker,
    }


def curve(values: Curve | None) -> dict[str, Any] | None:
    """Return a curve; its values are rounded to what can be seen."""
    if values is None:
        return None
    return {"step": values.step, "values": [round(value, 4) for value in values.values]}


def refusal(error: SearchError) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status of an error, and what is told of it."""
    status = _STATUS.get(type(error).__name__, 502)
    about = {"message": str(error), "reason": error.reason, "retryAfter": error.retry_after}
    return status, {"error": about, "requestId": error.request_id}
