"""The videos of a version as callers list them: in the order of their ids, page by page."""

import base64
import binascii
import math
from bisect import bisect_right

import numpy as np
from google.protobuf.timestamp_pb2 import Timestamp

from engine import pages, wire, wire_filter, wire_moments
from engine.corpus import Corpus
from engine.errors import InvalidInput
from engine.process_config import Uris
from engine.served import Served
from spr.v1 import search_service_pb2 as search_pb

DEFAULT_PAGE, LARGEST_PAGE = 100, 1000


async def page(
    request: search_pb.ListVideosRequest, served: Served, uris: Uris, most: int
) -> search_pb.ListVideosResponse:
    """Return a page of at most `most` bytes; InvalidInput names what is wrong with the request."""
    if request.page_size < 0:
        message = f"page_size is {request.page_size}; it must not be negative"
        raise InvalidInput(message, field="page_size")
    size, corpus = min(request.page_size or DEFAULT_PAGE, LARGEST_PAGE), served.corpus
    first = bisect_right(corpus.catalogue.ids, _parsed(request.page_token)) if request.page_token else 0
    if request.HasField("filter"):
        allowed = await served.pipeline.filters.allowed(wire_filter.filter_from_pb(request.filter))
        ordinals = np.flatnonzero(allowed.videos)
    else:
        ordinals = np.arange(len(corpus.catalogue))
    rest = ordinals[np.searchsorted(ordinals, first) :]
    response = search_pb.ListVideosResponse(total_videos=len(ordinals), version=corpus.id)
    space = most
    for ordinal in rest[:size].tolist():
        video = video_to_pb(corpus, ordinal, uris)
        space -= video.ByteSize() + 8
        if space < 0 and response.videos:
            break
        response.videos.append(video)
    if len(response.videos) < len(rest):
        response.next_page_token = _token(response.videos[-1].id)
    return response


def video_to_pb(corpus: Corpus, ordinal: int, uris: Uris) -> search_pb.Video:
    """Return what is told of a video."""
    catalogue, facts = corpus.catalogue, corpus.catalogue.facts
    return search_pb.Video(
        id=catalogue.ids[ordinal],
        uri=wire_moments.shown_uri(catalogue.uris[ordinal], uris),
        duration=wire.duration_to_pb(float(catalogue.durations[ordinal])),
        labels=facts.labels[ordinal],
        date=_time(float(facts.dates[ordinal])),
        add_time=_time(float(facts.added[ordinal])),
    )


def _time(seconds: float) -> Timestamp | None:
    if math.isnan(seconds):
        return None
    whole = math.floor(seconds)
    return Timestamp(seconds=whole, nanos=min(999_999_999, round((seconds - whole) * 1e9)))


def _token(video: str) -> str:
    return base64.urlsafe_b64encode(video.encode()).rstrip(b"=").decode()


def _parsed(token: str) -> str:
    """Return the id that a page goes on behind; InvalidInput for what is no token."""
    try:
        video = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4)).decode()
    except (binascii.Error, ValueError):
        raise pages.refusal("is garbled", "list from the first page") from None
    if _token(video) != token:
        raise pages.refusal("is garbled", "list from the first page")
    return video
