"""The library process as the coordinator sees it: jobs, and news of versions."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio

from engine import faults, logs
from engine.access.channels import Connect, plain
from engine.config import LibraryConfig
from engine.errors import Unavailable
from engine.servers import CHANNEL_OPTIONS
from spr.internal.v1 import library_service_pb2 as library_pb
from spr.internal.v1.library_service_pb2 import (
    GetLibraryInfoRequest,
    GetLibraryInfoResponse,
    ListRequest,
    SubmitRequest,
    WatchCurrentRequest,
)
from spr.internal.v1.library_service_pb2_grpc import LibraryServiceStub
from spr.v1 import admin_service_pb2 as admin_pb
from spr.v1 import feedback_service_pb2 as feedback_pb
from spr.v1.standing_service_pb2 import WatchMatchesRequest, WatchMatchesResponse
from spr.v1.standing_service_pb2_grpc import StandingServiceStub

if TYPE_CHECKING:
    from spr.internal.v1.library_service_pb2_grpc import LibraryServiceAsyncStub
    from spr.v1.standing_service_pb2_grpc import StandingServiceAsyncStub

_log = logging.getLogger("spr.library")
Reply = TypeVar("Reply")
PAUSE = 1.0  # seconds before the stream of news is asked for again
PATIENCE = 20.0  # seconds of a job's submission: the library syncs it to disk
NO_LIBRARY = "NO_LIBRARY"


class Library:
    """The library process of a topology. Belongs to the event loop it was made in."""

    def __init__(self, config: LibraryConfig, connect: Connect = plain) -> None:
        self.target = config.target
        self._channel = connect(self.target, CHANNEL_OPTIONS)
        self._stub: LibraryServiceAsyncStub = LibraryServiceStub(self._channel)
        self._standing: StandingServiceAsyncStub = StandingServiceStub(self._channel)
        self._fault = logs.Fault(_log, "the library")

    async def submit(self, job: admin_pb.SubmitJobRequest) -> admin_pb.Job:
        """Hand over a job; return it when it is durable. Unavailable NO_LIBRARY where nobody answers."""
        response = await self._answered(self._stub.Submit(SubmitRequest(job=job), timeout=PATIENCE))
        return response.job

    async def jobs(self, asked: admin_pb.ListJobsRequest) -> list[admin_pb.Job]:
        """Return jobs, newest first; Unavailable NO_LIBRARY where nobody answers."""
        response = await self._answered(self._stub.List(ListRequest(jobs=asked), timeout=PATIENCE))
        return list(response.jobs)

    async def standing(
        self, method: "Callable[[StandingServiceAsyncStub], Callable[..., Awaitable[Reply]]]", request: Any
    ) -> Reply:
        """Hand over a call about standing searches; Unavailable NO_LIBRARY where nobody answers."""
        return await self._answered(method(self._standing)(request, timeout=PATIENCE))

    async def matches(self, asked: WatchMatchesRequest) -> AsyncIterator[WatchMatchesResponse]:
        """Yield matches as they are found; Unavailable NO_LIBRARY when nobody answers, or no more."""
        found = aiter(self._standing.WatchMatches(asked))
        while (told := await self._answered(anext(found, None))) is not None:
            yield told

    async def record_judgements(
        self, asked: feedback_pb.RecordJudgementsRequest
    ) -> feedback_pb.RecordJudgementsResponse:
        """Hand judgements over; return them when they are durable."""
        request = library_pb.RecordJudgementsRequest(asked=asked)
        return (await self._answered(self._stub.RecordJudgements(request, timeout=PATIENCE))).answer

    async def list_judgements(
        self, asked: feedback_pb.ListJudgementsRequest
    ) -> feedback_pb.ListJudgementsResponse:
        """Return a page of judgements."""
        request = library_pb.ListJudgementsRequest(asked=asked)
        return (await self._answered(self._stub.ListJudgements(request, timeout=PATIENCE))).answer

    async def delete_judgements(
        self, asked: feedback_pb.DeleteJudgementsRequest
    ) -> feedback_pb.DeleteJudgementsResponse:
        """Have judgements forgotten; return when that is durable."""
        request = library_pb.DeleteJudgementsRequest(asked=asked)
        return (await self._answered(self._stub.DeleteJudgements(request, timeout=PATIENCE))).answer

    async def info(self, patience: float) -> GetLibraryInfoResponse:
        """Return what the process says of itself; AioRpcError where it does not answer."""
        try:
            return await self._stub.GetLibraryInfo(GetLibraryInfoRequest(), timeout=patience)
        except grpc.aio.AioRpcError as failure:
            if failure.code() is grpc.StatusCode.UNIMPLEMENTED:
                return GetLibraryInfoResponse()  # of a release before protocols had numbers
            raise

    async def watch(self, on_change: Callable[[], None]) -> None:
        """Call `on_change` whenever a version becomes current, until cancelled."""
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                async for _ in self._stub.WatchCurrent(WatchCurrentRequest()):
                    on_change()
            await asyncio.sleep(PAUSE)

    async def close(self) -> None:
        """Close the channel."""
        await self._channel.close()

    async def _answered(self, call: Awaitable[Reply]) -> Reply:
        try:
            reply = await call
        except grpc.aio.AioRpcError as failure:
            if failure.code() is grpc.StatusCode.UNIMPLEMENTED:
                message = "the library process is of an older release; restart it from this one"
                raise Unavailable(message, NO_LIBRARY) from None
            if failure.code() is grpc.StatusCode.UNAVAILABLE and not faults.reason_of(failure):
                # Whoever waits for a job asks again and again.
                self._fault.happened(faults.told_by(failure), NO_LIBRARY)
                message = "the library process does not answer; `spr admin status` says why"
                raise Unavailable(message, NO_LIBRARY) from None
            raise faults.error_of(failure, "library") from None
        self._fault.over()
        return reply


def missing() -> Unavailable:
    """Return the error of a service without a library process."""
    return Unavailable(
        "no library process runs here; write [library] into the topology and start the service again, or use "
        "`spr add` and its like where no service runs",
        NO_LIBRARY,
    )
