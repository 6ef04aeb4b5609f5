"""Moments of a ranked list -> their messages."""

import numpy as np

from engine import wire
from engine.listed import Listed
from engine.process_config import Uris
from engine.types import Doubles, Floats, Moments
from spr.v1 import search_service_pb2 as search_pb


def put_moments(response: search_pb.SearchResponse, listed: Listed, rows: slice, uris: Uris) -> None:
    """Write some rows of a list. Only here do columns become objects, each where it stays."""
    moments, proposals = listed.answer.moments, listed.answer.proposals
    of_proposal = moments.proposals[rows]
    columns = zip(
        listed.ids[rows],
        listed.uris[rows],
        wire.span_parts(moments.spans[rows]),
        moments.scores[rows].tolist(),
        moments.refined[rows].tolist(),
        moments.relevances[rows].tolist(),
        of_proposal.tolist(),
        wire.span_parts(proposals.spans[of_proposal]),
        proposals.ranks[of_proposal].tolist(),
        _known(moments.confidences, rows, len(of_proposal)),
        _parts(moments, rows),
        listed.also[rows] if listed.also else [()] * len(of_proposal),
        _known(moments.best, rows, len(of_proposal)),
        strict=True,
    )
    for rank, row in enumerate(columns, rows.start + 1):
        video, uri, span, score, refined, relevance, proposal, coarse, first, sure, parts, also, best = row
        moment = response.moments.add(
            video_id=video, rank=rank, score=score, uri=shown_uri(uri, uris), confidence=sure
        )
        wire.put_span(moment.span, span)
        if best is not None:
            offset = moment.best_offset
            offset.seconds, offset.nanos = divmod(round(best * 1e9), 1_000_000_000)
        for part in parts:
            wire.put_span(moment.parts.add(), part)
        for other, *seconds in also:
            wire.put_span(moment.also_in.add(video_id=other).span, wire.span_parts(np.array([seconds]))[0])
        provenance = moment.provenance
        wire.put_span(provenance.proposal_span, coarse)
        provenance.proposal_rank, provenance.best_segment_rank = proposal + 1, first
        provenance.refined, provenance.relevance = refined, relevance if refined else 0.0


def shown_uri(uri: str, uris: Uris) -> str:
    """Return as much of a video's URI as the setting `uris` tells."""
    if uris == "full":
        return uri
    return uri.rpartition("/")[2] if uris == "name" else ""


def _known(column: Floats | Doubles | None, rows: slice, count: int) -> list[float | None]:
    """Return some rows of a column, `count` of them, None where a value is NaN or there is no column."""
    if column is None:
        return [None] * count
    return [None if value != value else value for value in column[rows].tolist()]


def _parts(moments: Moments, rows: slice) -> list[list[wire.SpanParts]]:
    """Return where the parts of some rows lie, none where the query has one."""
    if moments.parts is None:
        return [[]] * len(moments.proposals[rows])
    return [wire.span_parts(spans) for spans in moments.parts[rows]]
