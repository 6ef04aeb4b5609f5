"""Moments and coverage from messages of spr.v1."""

from google.protobuf.duration_pb2 import Duration

from spr.v1 import types_pb2
from spr_client.composed import Duplicate
from spr_client.evidence import Finding, Piece, TextLine
from spr_client.translate_evidence import list_from_pb
from spr_client.types import Coverage, Moment


def moment_from_pb(moment: types_pb2.Moment) -> Moment:
    """Return one moment."""
    source = moment.provenance
    return Moment(
        video=moment.video_id,
        start=seconds_from_pb(moment.span.start_offset),
        end=seconds_from_pb(moment.span.end_offset),
        rank=moment.rank,
        score=moment.score,
        refined=source.refined,
        relevance=source.relevance,
        proposal_start=seconds_from_pb(source.proposal_span.start_offset),
        proposal_end=seconds_from_pb(source.proposal_span.end_offset),
        proposal_rank=source.proposal_rank,
        uri=moment.uri,
        confidence=moment.confidence if moment.HasField("confidence") else None,
        parts=_parts_from_pb(moment),
        also_in=_duplicates_from_pb(moment),
        found_by=tuple(_finding_from_pb(finding) for finding in moment.found_by),
        best=seconds_from_pb(moment.best_offset) if moment.HasField("best_offset") else None,
    )


def coverage_from_pb(coverage: types_pb2.Coverage) -> Coverage:
    """Return what an answer speaks for."""
    names = [types_pb2.DegradedReason.Name(reason) for reason in coverage.degraded]
    return Coverage(
        shards_total=coverage.shards_total,
        shards_answered=coverage.shards_answered,
        videos_total=coverage.videos_total,
        videos_searched=coverage.videos_searched,
        ratio=coverage.ratio,
        degraded=tuple(name.removeprefix("DEGRADED_REASON_") for name in names),
        unreachable=tuple(coverage.unreachable),
    )


def seconds_from_pb(duration: Duration) -> float:
    """Return seconds."""
    return float(duration.seconds + duration.nanos / 1e9)


def _parts_from_pb(moment: types_pb2.Moment) -> tuple[tuple[float, float], ...]:
    """Return where the parts of a moment lie."""
    return tuple(span_from_pb(part) for part in moment.parts)


def _duplicates_from_pb(moment: types_pb2.Moment) -> tuple[Duplicate, ...]:
    """Return the moments of other videos that show the same."""
    return tuple(Duplicate(other.video_id, *span_from_pb(other.span)) for other in moment.also_in)


def span_from_pb(span: types_pb2.TimeSpan) -> tuple[float, float]:
    """Return start and end in seconds."""
    return seconds_from_pb(span.start_offset), seconds_from_pb(span.end_offset)


def _finding_from_pb(finding: types_pb2.Finding) -> Finding:
    line = None
    if finding.HasField("line"):
        box, pieces = finding.line.box, finding.line.pieces
        line = TextLine(
            *span_from_pb(finding.line.span),
            tuple(Piece(piece.text, piece.matched) for piece in pieces),
            (box.left, box.top, box.right, box.bottom) if finding.line.HasField("box") else None,
        )
    return Finding(*list_from_pb(finding), finding.rank, line, finding.part)
