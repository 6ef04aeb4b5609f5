"""Answers of the service as the page reads them: JSON values."""

from typing import Any

from spr_client import Coverage, Curve, Explanation, Moment, SearchError, SearchResult

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


def result(found: SearchResult) -> dict[str, Any]:
    """Return one page of an answer. took: milliseconds by stage."""
    return {
        "stage": "refined" if found.refined else "coarse",
        "moments": [moment(one) for one in found.moments],
        "total": found.total,
        "next": found.next_page,
        "coverage": coverage(found.coverage),
        "ranker": found.ranker,
        "collection": found.collection,
        "noConfidentMatch": found.no_confident_match,
        "threshold": found.confidence_threshold,
        "truncated": found.query_truncated,
        "took": {stage: round(1000 * seconds, 2) for stage, seconds in found.timings.items()},
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
    }


def coverage(part: Coverage) -> dict[str, Any]:
    """Return how much of the corpus was searched."""
    return {
        "videos": part.videos_total,
        "searched": part.videos_searched,
        "degraded": list(part.degraded),
        "unreachable": list(part.unreachable),
    }


def explanation(why: Explanation) -> dict[str, Any]:
    """Return why moments of a video were found."""
    return {
        "video": why.video,
        "duration": why.duration,
        "segments": [
            {"start": s.start, "end": s.end, "score": s.score, "rank": s.rank} for s in why.segments
        ],
        "moments": [moment(one) for one in why.moments],
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
