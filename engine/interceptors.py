"""The server interceptor: deserialisation, request id, admission control, errors as statuses, access log.

Health and reflection bypass admission control, so a full server still answers probes. A call takes its slot
when its message has arrived: a call that is opened and never sent takes none. When no slot is free, calls are
refused before they are read. The access log is written after the reply, outside its latency.
"""

import asyncio
import contextlib
import contextvars
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any

import grpc
import grpc.aio

from engine import deserialization, faults, logs, metrics, refusals, tracing
from engine.access.guard import Guard
from engine.admission import Gate
from engine.errors import DeadlineExceeded, InvalidInput, SprError, WrongPort

_log = logging.getLogger("spr.rpc")
_OURS = "/spr."
WRITE_PATIENCE = 10.0  # seconds of back-pressure before a stream is reset

Behaviour = Callable[..., Any]


class Interceptor(grpc.aio.ServerInterceptor):
    """Wraps the methods of a grpc.aio server.

    admission: of every method of ours that `admissions` does not name. pool: threads for methods that are no
    coroutines. about: what this port serves and what another does, for a caller of the wrong one. guard: its
    access control; None without.
    """

    def __init__(
        self,
        admission: Gate,
        pool: Executor | None = None,
        about: str = "",
        admissions: Mapping[str, Gate] | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._admission = admission
        self._pool = pool
        self._about = about
        self._admissions = admissions or {}
        self._guard = guard
        self._known: dict[str, Any] = {}

    async def intercept_service(self, continuation: Callable[..., Any], handler_call_details: Any) -> Any:
        """Return the wrapped handler of a method, or one that refuses the call unread."""
        method = str(handler_call_details.method)
        if self._guard is not None:
            try:
                self._guard.admit(method, handler_call_details.invocation_metadata or ())
            except SprError as error:
                return refusals.handler(method, error)
        if method not in self._known:
            handler = await continuation(handler_call_details)
            if handler is None:
                wrong = WrongPort(f"{refusals.named(method)} is not served at this port; {self._about}")
                return refusals.handler(method, wrong, refusals.UNKNOWN)
            self._known[method] = self._wrapped(method, handler)
        if method.startswith(_OURS) and (admission := self._admission_of(method)).busy:
            return self._guarded(method, self._known[method], admission)
        return self._known[method]

    def _guarded(self, method: str, handler: Any, admission: Gate) -> Any:
        """Return a handler that asks the gate before it reads: of streams, as gRPC reads unary ones first."""
        behaviour = handler.unary_stream or handler.unary_unary

        async def call(messages: AsyncIterator[bytes], context: Any) -> Any:
            refusal = admission.refusal(context)
            if refusal is not None:
                await refusals.refuse(context, method, refusal)
            async for data in messages:
                return await behaviour(data, context)
            raise asyncio.CancelledError  # the caller went before it sent anything

        make = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return make(call, None, handler.response_serializer)

    def _admission_of(self, method: str) -> Gate:
        return self._admissions.get(method, self._admission)

    def _wrapped(self, method: str, handler: Any) -> Any:
        """Return a handler that takes bytes and deserialises them itself."""
        read, write = handler.request_deserializer, handler.response_serializer
        if handler.request_streaming:
            streamed = deserialization.stream(handler.stream_stream, read, method)
            return grpc.stream_stream_rpc_method_handler(streamed, None, write)
        if not method.startswith(_OURS):
            behaviour = deserialization.unary(handler.unary_stream or handler.unary_unary, read, method)
        elif handler.response_streaming:
            behaviour = self._accounted(method, partial(self._stream, method, read, handler.unary_stream))
        else:
            unary = self._unary if inspect.iscoroutinefunction(handler.unary_unary) else self._in_pool
            behaviour = self._accounted(method, partial(unary, method, read, handler.unary_unary))
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(behaviour, None, write)
        return grpc.unary_unary_rpc_method_handler(behaviour, None, write)

    def _accounted(self, method: str, answer: Callable[[bytes, Any], Awaitable[Any]]) -> Behaviour:
        """Wrap `answer`: errors become statuses, and the call is counted, traced, and in the access log."""
        meter = metrics.RpcMeter(method)

        async def call(data: bytes, context: Any) -> Any:
            began = time.perf_counter()
            code = grpc.StatusCode.OK
            meter.began()
            try:
                if self._guard is not None:
                    self._guard.check(context)
                return await answer(data, context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                code = refusals.note(error, method)
                await context.abort_with_status(faults.grpc_status(error, logs.request_id.get()))
            finally:
                meter.ended(code.name, time.perf_counter() - began)
                _account(context, method, code, began)

        async def traced(data: bytes, context: Any) -> Any:
            with tracing.call(method, context):
                return await call(data, context)

        return traced

    async def _unary(
        self, method: str, read: Behaviour, behaviour: Behaviour, data: bytes, context: Any
    ) -> Any:
        request = _ours(read, data, method, context)
        admission = self._admission_of(method)
        admission.enter()
        try:
            return await behaviour(request, context)
        finally:
            admission.leave()

    async def _in_pool(
        self, method: str, read: Behaviour, behaviour: Behaviour, data: bytes, context: Any
    ) -> Any:
        def run() -> Any:
            _refuse_late(context)
            return behaviour(request, context)

        if self._pool is None:
            raise TypeError(f"{behaviour} is no coroutine, and the server has no threads to run it in")
        request = _ours(read, data, method, context)
        admission = self._admission_of(method)
        admission.enter()
        try:
            future = self._pool.submit(contextvars.copy_context().run, run)
        except BaseException:
            admission.leave()
            raise
        # At the end of the work, not of the call: after a cancellation the thread is still busy.
        future.add_done_callback(lambda _: admission.leave())
        return await asyncio.wrap_future(future)

    async def _stream(
        self, method: str, read: Behaviour, behaviour: Behaviour, data: bytes, context: Any
    ) -> None:
        """Compute inside a slot, write outside: a slow reader blocks no slot."""
        request = _ours(read, data, method, context)
        admission = self._admission_of(method)
        admission.enter()
        replies: asyncio.Queue[Any] = asyncio.Queue()

        async def compute() -> None:
            async with contextlib.aclosing(behaviour(request, context)) as answers:
                async for reply in answers:
                    replies.put_nowait(reply)

        def over(_: object) -> None:
            admission.leave()
            replies.put_nowait(None)

        computing = asyncio.create_task(compute())
        # In a callback: a task that is cancelled before its first step never reaches its `finally`.
        computing.add_done_callback(over)
        try:
            while (reply := await replies.get()) is not None:
                if self._guard is not None:  # its token may have been revoked, or have ended, meanwhile
                    self._guard.admit(method, context.invocation_metadata() or ())
                await _written(context, reply)
            await computing
        finally:
            computing.cancel()


def when_over(context: Any, write: Callable[[], None]) -> None:
    """Call `write` when a call of a grpc.aio server has ended and its reply is sent."""
    context.add_done_callback(lambda _: write())


def _ours(read: Behaviour, data: bytes, method: str, context: Any) -> Any:
    """Deserialise a request of ours and bind its request id; DeadlineExceeded where its time is over."""
    try:
        request = deserialization.request(read, data, method)
    except InvalidInput:
        logs.bind_request_id("")
        raise
    logs.bind_request_id(getattr(request, "request_id", ""))
    _refuse_late(context)
    return request


async def _written(context: Any, reply: Any) -> None:
    try:
        # Not wait_for, which before Python 3.12 swallows a cancellation: the stream would never end.
        async with asyncio.timeout(WRITE_PATIENCE):
            await context.write(reply)
    except TimeoutError:
        _log.warning("nobody read an answer for %g s; its stream is reset", WRITE_PATIENCE)
        # A status could not be written either.
        raise asyncio.CancelledError from None
    except grpc.aio.InternalError:
        # The caller went while it was written to.
        raise asyncio.CancelledError from None


def _refuse_late(context: Any) -> None:
    # Load shedding: nobody reads an answer after the deadline.
    remaining = context.time_remaining()
    if remaining is not None and remaining <= 0:
        raise DeadlineExceeded("the deadline passed while the call waited")


def _account(context: Any, method: str, code: grpc.StatusCode, began: float) -> None:
    """Write the access log of a call when it has ended, in the call's own context."""
    # At debug: at info a search has its own line, and a failure that of `_note`.
    if not _log.isEnabledFor(logging.DEBUG):
        return
    elapsed = round(1000 * (time.perf_counter() - began), 3)
    line = partial(_log.debug, "%s %s", refusals.named(method), code.name, extra={"ms": elapsed})
    when_over(context, partial(contextvars.copy_context().run, line))
