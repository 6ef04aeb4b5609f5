"""Requests to one worker that wait at the same time go in one message, so that a call's cost is paid once.

A call costs both processes about half a millisecond of CPU, as much as a search of a small shard. While few
requests are under way each is a call of its own, and nothing waits. Beyond, those that come meanwhile go
together when these are answered, or fill a message: the more there is to do, the less of it is calls.
"""

import asyncio
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import status_pb2

from engine import calls, tracing
from engine.errors import Mismatch

AT_ONCE = 2  # requests under way to a worker from which on one waits for others
MOST = 8  # requests a message
LARGEST = 1 << 20  # bytes of several requests in a message, of which a worker takes 4 MiB
PATIENCE = 0.02  # seconds that a request waits for others while those are under way

_DETAILS = "grpc-status-details-bin"
_CODES = {code.value[0]: code for code in grpc.StatusCode}
Request = TypeVar("Request", bound=Message)
Reply = TypeVar("Reply")


@dataclass(eq=False, slots=True)
class _Waiting(Generic[Request, Reply]):
    request: Request
    ends: float
    answer: "asyncio.Future[Reply]"


class Together(Generic[Request, Reply]):
    """One method of one worker. Belongs to one event loop.

    one, many: the stub's methods of a request, and of several. message: what `many` is asked.
    """

    def __init__(self, one: Any, many: Any, message: Any) -> None:
        self._one, self._many, self._message = one, many, message
        self._waiting: list[_Waiting[Request, Reply]] = []
        self._under_way = 0
        self._apart = False
        # Whether the last message had several requests: then the next is likely to have, too.
        self._many_came = False
        self._timer: asyncio.TimerHandle | None = None
        self._sending: set[asyncio.Task[None]] = set()

    async def __call__(self, request: Request, timeout: float) -> Reply:
        """Return the answer, within `timeout` seconds; AioRpcError as of a call of its own.

        A call that is traced is one of its own.
        """
        metadata = tracing.outgoing()
        few = self._under_way < AT_ONCE
        if self._apart or metadata or (few and not self._waiting and not self._many_came):
            return await self._alone(request, timeout, metadata)
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, time.monotonic() + timeout, loop.create_future())
        self._waiting.append(waiting)
        if len(self._waiting) >= MOST:
            self._send(self._taken())
        elif self._timer is None:
            # Many answers come in one turn of the loop, and each asks for the next.
            self._timer = loop.call_later(0 if few else PATIENCE, self._send_all)
        # A context manager of a time limit costs four times as much.
        late = loop.call_later(timeout, _expire, waiting)
        try:
            reply: Reply = await waiting.answer
            return reply
        finally:
            late.cancel()

    async def _alone(self, request: Request, timeout: float, metadata: Any = None) -> Reply:
        self._under_way += 1
        try:
            reply: Reply = await calls.answer(self._one(request, timeout=timeout, metadata=metadata))
            return reply
        finally:
            self._ended(1)

    def _ended(self, requests: int) -> None:
        self._under_way -= requests
        if self._waiting and self._under_way < AT_ONCE:
            self._send(self._taken())

    def _send_all(self) -> None:
        self._timer = None
        while batch := self._taken():
            self._send(batch)

    def _taken(self) -> list[_Waiting[Request, Reply]]:
        """Take the next message's requests out of those that wait, without those that nobody waits for."""
        there = [one for one in self._waiting if not one.answer.done()]
        sizes = itertools.accumulate(one.request.ByteSize() for one in there[:MOST])
        taken = max(1, sum(size <= LARGEST for size in sizes))
        self._waiting = there[taken:]
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return there[:taken]

    def _send(self, batch: list[_Waiting[Request, Reply]]) -> None:
        if batch:
            self._many_came = len(batch) > 1
            task = asyncio.create_task(self._answered(batch))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

            left = len(batch)

            def settled(_: object) -> None:
                # Where all have gone the worker need not go on; where all are answered the task is over.
                nonlocal left
                left -= 1
                if not left:
                    task.cancel()

            for one in batch:
                one.answer.add_done_callback(settled)

    async def _answered(self, batch: list[_Waiting[Request, Reply]]) -> None:
        """Have a batch answered, each request by itself."""
        left = max(0.0, max(one.ends for one in batch) - time.monotonic())
        try:
            if len(batch) == 1:
                _settle(batch[0], await self._alone(batch[0].request, left))
                return
            for one, outcome in zip(batch, await self._outcomes(batch, left), strict=True):
                _settle(one, _refused(outcome.status) if outcome.HasField("status") else outcome.response)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED and len(batch) > 1:
                # A worker of the last release.
                self._apart = True
                for one in batch:
                    self._send([one])
                return
            for one in batch:
                _settle(one, _again(error))
        except Mismatch as error:
            for one in batch:
                _settle(one, Mismatch(str(error)))
        except asyncio.CancelledError:
            for one in batch:
                _settle(one, _failed(grpc.StatusCode.CANCELLED, "the call was cancelled"))
            raise

    async def _outcomes(self, batch: Sequence[_Waiting[Request, Reply]], left: float) -> Sequence[Any]:
        self._under_way += len(batch)
        try:
            message = self._message(requests=[one.request for one in batch])
            outcomes = (await calls.answer(self._many(message, timeout=left))).outcomes
        finally:
            self._ended(len(batch))
        if len(outcomes) == len(batch):
            return list(outcomes)
        raise Mismatch(f"answered {len(outcomes)} of {len(batch)} requests")


def _settle(waiting: _Waiting[Any, Any], answer: Any) -> None:
    """Hand out an answer, or an error, if somebody still waits for it."""
    if waiting.answer.done():
        return
    if isinstance(answer, Exception):
        waiting.answer.set_exception(answer)
    else:
        waiting.answer.set_result(answer)


def _expire(waiting: _Waiting[Any, Any]) -> None:
    if not waiting.answer.done():
        _settle(waiting, _failed(grpc.StatusCode.DEADLINE_EXCEEDED, "Deadline Exceeded"))


def _refused(status: status_pb2.Status) -> grpc.aio.AioRpcError:
    """Return the error of a request that a worker refused, as a call of its own would raise it."""
    return _failed(_CODES.get(status.code, grpc.StatusCode.UNKNOWN), status.message, status)


def _failed(
    code: grpc.StatusCode, details: str, status: status_pb2.Status | None = None
) -> grpc.aio.AioRpcError:
    told = () if status is None else ((_DETAILS, status.SerializeToString()),)
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*told), details)


def _again(error: grpc.aio.AioRpcError) -> grpc.aio.AioRpcError:
    """Return an error for one more caller: one that is raised twice would gather both their traces."""
    told = error.initial_metadata(), error.trailing_metadata(), error.details(), error.debug_error_string()
    return grpc.aio.AioRpcError(error.code(), *told)
