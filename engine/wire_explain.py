"""The messages of an explanation <-> its values."""

import math

import numpy as np

from engine import wire, wire_search, wire_texts
from engine.corpus import Corpus
from engine.errors import InvalidInput, Mismatch
from engine.explanations import Compared, Explanation
from engine.listed import Listed
from engine.process_config import Uris
from engine.types import Floats, Hits
from spr.internal.v1.ranker_service_pb2 import CompareRequest, CompareResponse
from spr.v1 import search_service_pb2 as search_pb

MOST_MOMENTS = 1000
MOST_VALUES = 20_000


def text_from_pb(request: CompareRequest, dim: int | None, videos: int) -> Floats:
    """Return the text's embedding; InvalidInput where it or the video cannot be used. dim: None for any."""
    if request.video_ordinal >= videos:
        message = f"video_ordinal is {request.video_ordinal}; it must be 0 to {videos - 1}"
        raise InvalidInput(message, field="video_ordinal")
    return wire.tensor_from_pb(request.text_embedding, [dim], "text_embedding")


def compared_to_pb(compared: Compared) -> CompareResponse:
    """Return curves as a response; the caller adds the version."""
    return CompareResponse(
        step=wire.duration_to_pb(compared.step),
        frames=wire.floats_to_bytes(compared.frames),
        subtitles=wire.floats_to_bytes(compared.subtitles),
    )


def compared_from_pb(response: CompareResponse) -> Compared:
    """Return a ranker's curves; Mismatch if they cannot be used."""
    step = wire.duration_from_pb(response.step)
    curves = [
        wire.floats_from_bytes(data, name)
        for data, name in ((response.frames, "frames"), (response.subtitles, "subtitles"))
    ]
    # Written so that NaN fails.
    cosines = all(bool((np.abs(curve) <= 1.01).all()) and len(curve) <= MOST_VALUES for curve in curves)
    if not (math.isfinite(step) and step > 0) or not cosines:
        raise Mismatch("the ranker answered a curve that holds what is no cosine, or is too long")
    return Compared(step, *curves)


def explanation_to_pb(explanation: Explanation, corpus: Corpus, uris: Uris) -> search_pb.ExplainResponse:
    """Return what a search found of a video, and its curves; the caller adds its id. Reads files."""
    answer, video = explanation.answer, explanation.video
    rows = np.flatnonzero(answer.moments.videos == video)[:MOST_MOMENTS]
    listed = Listed.of(answer.of(rows), corpus)
    page = wire_search.page_to_pb(listed, 0, len(rows), uris)
    for moment, row in zip(page.moments, rows.tolist(), strict=True):
        moment.rank = row + 1
    wire_texts.put_findings(page.moments, listed.answer.findings(slice(len(rows))))
    response = search_pb.ExplainResponse(
        video_id=corpus.catalogue.ids[video],
        duration=wire.duration_to_pb(float(corpus.catalogue.durations[video])),
        segments=_segments(explanation, corpus),
        moments=page.moments,
        versions=page.versions,
        coverage=page.coverage,
    )
    if (compared := explanation.compared) is not None:
        step = wire.duration_to_pb(compared.step)
        for field, curve in ((response.frames, compared.frames), (response.subtitles, compared.subtitles)):
            if len(curve):
                field.step.CopyFrom(step)
                field.values.extend(curve.tolist())
    return response


def _segments(explanation: Explanation, corpus: Corpus) -> list[search_pb.RetrievedSegment]:
    """Return what was retrieved of the video by time; where texts were sought, list by list."""
    answer = explanation.answer
    if answer.evidence is None:
        return [] if answer.hits is None else _segments_of(answer.hits, explanation.video, corpus)
    found = []
    for name, hits in answer.evidence.lists:
        for segment in _segments_of(hits, explanation.video, corpus):
            wire_texts.put_list(segment, name)
            found.append(segment)
    return sorted(found, key=lambda one: (one.span.start_offset.seconds, one.span.start_offset.nanos))


def _segments_of(hits: Hits, video: int, corpus: Corpus) -> list[search_pb.RetrievedSegment]:
    length = corpus.version.segment_length
    ranks = np.flatnonzero(hits.videos == video)
    starts = hits.segments[ranks] * length
    ends = np.minimum(starts + length, corpus.catalogue.durations[video])
    order = np.argsort(starts, kind="stable")
    return [
        search_pb.RetrievedSegment(
            span=wire.span_to_pb(np.array([starts[row], ends[row]])),
            score=float(hits.scores[ranks[row]]),
            rank=int(ranks[row]),
        )
        for row in order.tolist()
    ]
