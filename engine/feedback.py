"""FeedbackService: checks what people say of moments, and hands it to the library process."""

import math
from typing import TypeAlias

import grpc.aio

from engine import callers, wire
from engine import library as libraries
from engine.corpus import Corpus
from engine.errors import InvalidInput, quoted
from engine.library import Library
from engine.served import Collections, ServedCollection
from engine.words import trimmed
from spr.v1 import feedback_service_pb2 as pb
from spr.v1 import feedback_service_pb2_grpc, types_pb2

Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"
MOST, LARGEST_PAGE = 100, 1000
BEST = 4
LONGEST_QUERY, LONGEST_NAME, LONGEST_ID = 1000, 80, 64
# Seconds that a span may end behind its video: durations are rounded on the way.
SLACK = 0.05


class FeedbackServicer(feedback_service_pb2_grpc.FeedbackServiceServicer):
    """spr.v1.FeedbackService over the collections of a service."""

    def __init__(self, collections: Collections, library: Library | None) -> None:
        self._collections, self._library = collections, library

    async def RecordJudgements(
        self, request: pb.RecordJudgementsRequest, context: Context
    ) -> pb.RecordJudgementsResponse:
        """Keep judgements, durably, all or none."""
        library, collection = self._needed(), self._of(request)
        _count(len(request.judgements), "judgements")
        with collection.pinned() as served:
            for place, judgement in enumerate(request.judgements):
                _check(judgement, f"judgements[{place}]", served.corpus)
                judgement.version = judgement.version or served.corpus.id
                judgement.who = callers.identity.get()
                judgement.ClearField("create_time")
        return await library.record_judgements(request)

    async def ListJudgements(
        self, request: pb.ListJudgementsRequest, context: Context
    ) -> pb.ListJudgementsResponse:
        """Return a page of judgements, newest first."""
        library, _ = self._needed(), self._of(request)
        if request.page_size > LARGEST_PAGE:
            message = f"page_size is {request.page_size}; ask for {LARGEST_PAGE} judgements at most"
            raise InvalidInput(message, field="page_size")
        request.query = tidied(request.query)
        return await library.list_judgements(request)

    async def DeleteJudgements(
        self, request: pb.DeleteJudgementsRequest, context: Context
    ) -> pb.DeleteJudgementsResponse:
        """Forget judgements, durably."""
        library, _ = self._needed(), self._of(request)
        _count(len(request.ids), "ids")
        return await library.delete_judgements(request)

    def _needed(self) -> Library:
        if self._library is None:
            raise libraries.missing()
        return self._library

    def _of(
        self, request: pb.RecordJudgementsRequest | pb.ListJudgementsRequest | pb.DeleteJudgementsRequest
    ) -> ServedCollection:
        """Return a request's collection, and name it there."""
        collection = self._collections.named(request.collection)
        request.collection = collection.name
        return collection


def tidied(query: str) -> str:
    """Return a query with single blanks: under which its judgements are kept."""
    return " ".join(trimmed(query).split())


def _count(count: int, field: str) -> None:
    if not 1 <= count <= MOST:
        raise InvalidInput(f"{field} has {count} entries; send 1 to {MOST}", field=field)


def _check(judgement: pb.Judgement, place: str, corpus: Corpus) -> None:
    """Refuse (InvalidInput, NotFound) what no judgement can be; its span is cut at the video's end."""
    name = judgement.id
    if not (name.isascii() and (name.isprintable() or not name) and len(name) <= LONGEST_ID):
        raise InvalidInput(
            f"id {quoted(name)} is not up to {LONGEST_ID} printable ASCII characters", field=f"{place}.id"
        )
    judgement.query = tidied(judgement.query)
    limits = {"annotator": LONGEST_NAME, "version": LONGEST_NAME, "request_id": LONGEST_ID}
    for field, most in {"query": LONGEST_QUERY, **limits}.items():
        if len(getattr(judgement, field)) > most:
            raise InvalidInput(f"{field} is longer than {most} characters", field=f"{place}.{field}")
    if not judgement.query:
        raise InvalidInput("the query is empty; write what the moment shows", field=f"{place}.query")
    if judgement.grade > BEST:
        raise InvalidInput(f"grade is {judgement.grade}; grades go from 0 to {BEST}", field=f"{place}.grade")
    seconds = float(corpus.catalogue.durations[corpus.catalogue.ordinal(judgement.video_id)])
    _check_span(judgement.span, f"{place}.span", seconds)
    if judgement.HasField("shown_span"):
        _check_span(judgement.shown_span, f"{place}.shown_span", seconds)


def _check_span(span: types_pb2.TimeSpan, field: str, seconds: float) -> None:
    start, end = (wire.duration_from_pb(one) for one in (span.start_offset, span.end_offset))
    nanos = (span.start_offset.nanos, span.end_offset.nanos)
    inside = 0 <= start < end <= seconds + SLACK and all(0 <= one < 1_000_000_000 for one in nanos)
    if not (inside and start < seconds and math.isfinite(end)):
        message = (
            f"{field} is {start:g} s to {end:g} s; write 0 <= start < end <= {seconds:g}, the video's length"
        )
        raise InvalidInput(message, field=field)
    if end > seconds:
        span.end_offset.CopyFrom(wire.duration_to_pb(seconds))
