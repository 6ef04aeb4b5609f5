"""Judgements of moments: recorded, listed, deleted."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
from google.protobuf.duration_pb2 import Duration

from spr.v1 import feedback_service_pb2 as pb
from spr.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from spr.v1.types_pb2 import TimeSpan
from spr_client import errors
from spr_client.access import Access, Opened, Tls
from spr_client.channels import ADDRESS, OPTIONS, checked, target
from spr_client.fields import put_given, texts
from spr_client.translate import limit

Span = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """One person's grade, 0..4, of one moment for one query. Times are seconds.

    span: the moment as it should be. shown: as it was shown, None where it was found by hand; rank likewise,
    0 then. id: "" lets the service make one. who, time: set by the service.
    """

    query: str
    video: str
    span: Span
    grade: int
    shown: Span | None = None
    rank: int = 0
    version: str = ""
    request_id: str = ""
    annotator: str = ""
    id: str = ""
    who: str = ""
    time: datetime | None = None


class Feedback:
    """Records what people say of moments, at one SPR service; needs the scope "write".

    with Feedback("localhost:7400") as feedback:
        feedback.record([Judgement(query="a red ball", video="talk", span=(12, 20), grade=3)])

    address, collection, tls, token: as of Client. Every method raises SearchError or one of its kinds. A call
    that failed may be made again with the same ids: what was kept is not kept twice.
    """

    def __init__(
        self,
        address: str | Sequence[str] = ADDRESS,
        *,
        collection: str = "",
        tls: Tls | None = None,
        token: str | Path | None = None,
    ) -> None:
        self._address, self._collection = checked(address), collection
        self._access = Access(self._address, tls, token)
        self._own = Opened(self._access, lambda: self._access.channel(target(self._address), OPTIONS))

    def record(self, judgements: Sequence[Judgement], timeout: float | None = 20.0) -> list[Judgement]:
        """Keep up to 100 judgements, all or none; return them as they are kept, on disk by then."""
        if isinstance(judgements, Judgement) or not isinstance(judgements, Iterable):
            raise errors.InvalidInput("give a list of judgements", "BAD_PARAMETER")
        messages = [judgement_to_pb(one) for one in judgements]
        request = pb.RecordJudgementsRequest(judgements=messages)
        put_given(request, "collection", self._collection)
        with self._failures():
            answer = self._service.RecordJudgements(
                request, timeout=limit(timeout), metadata=self._access.metadata
            )
        return [judgement_from_pb(one) for one in answer.judgements]

    def judgements(
        self, query: str = "", video: str = "", timeout: float | None = 20.0
    ) -> Iterator[Judgement]:
        """Yield judgements, newest first; those of a query, of a video. timeout is per page."""
        request = pb.ListJudgementsRequest(page_size=1000)
        for name, value in (("collection", self._collection), ("query", query), ("video_id", video)):
            put_given(request, name, value)
        while True:
            with self._failures():
                page = self._service.ListJudgements(
                    request, timeout=limit(timeout), metadata=self._access.metadata
                )
            yield from map(judgement_from_pb, page.judgements)
            if not page.next_page_token:
                return
            request.page_token = page.next_page_token

    def delete(self, ids: Sequence[str], timeout: float | None = 20.0) -> int:
        """Forget up to 100 judgements; return how many there were."""
        request = pb.DeleteJudgementsRequest(ids=texts("ids", ids))
        put_given(request, "collection", self._collection)
        with self._failures():
            answer = self._service.DeleteJudgements(
                request, timeout=limit(timeout), metadata=self._access.metadata
            )
        return answer.deleted

    def close(self) -> None:
        """Close the channel; the next call opens another."""
        if (channel := self._own.taken()) is not None:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def _service(self) -> FeedbackServiceStub:
        return FeedbackServiceStub(self._own.now)

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise errors.from_call(error, self._address) from None


def judgement_to_pb(given: Judgement) -> pb.Judgement:
    """Return a judgement's message; InvalidInput for what a message cannot carry."""
    if not isinstance(given, Judgement):
        raise errors.InvalidInput(
            f"a judgement is of type {type(given).__name__}; give a Judgement", "BAD_PARAMETER"
        )
    try:
        message = pb.Judgement(
            id=given.id,
            query=given.query,
            video_id=given.video,
            span=_span_to_pb(given.span),
            grade=given.grade,
            rank=given.rank,
            version=given.version,
            request_id=given.request_id,
            annotator=given.annotator,
        )
        if given.shown is not None:
            message.shown_span.CopyFrom(_span_to_pb(given.shown))
    except (TypeError, ValueError, OverflowError) as error:
        raise errors.InvalidInput(f"the judgement cannot be sent: {error}", "BAD_PARAMETER") from None
    return message


def judgement_from_pb(message: pb.Judgement) -> Judgement:
    """Return what a message says."""
    made = message.create_time
    return Judgement(
        query=message.query,
        video=message.video_id,
        span=_span_from_pb(message.span),
        grade=message.grade,
        shown=_span_from_pb(message.shown_span) if message.HasField("shown_span") else None,
        rank=message.rank,
        version=message.version,
        request_id=message.request_id,
        annotator=message.annotator,
        id=message.id,
        who=message.who,
        time=made.ToDatetime(UTC) if message.HasField("create_time") else None,
    )


def _span_to_pb(span: Span) -> TimeSpan:
    start, end = (divmod(round(float(seconds) * 1e9), 1_000_000_000) for seconds in span)
    offsets = [Duration(seconds=whole, nanos=nanos) for whole, nanos in (start, end)]
    return TimeSpan(start_offset=offsets[0], end_offset=offsets[1])


def _span_from_pb(span: TimeSpan) -> Span:
    start, end = (one.seconds + one.nanos / 1e9 for one in (span.start_offset, span.end_offset))
    return start, end
