"""What happens around every call of ours: its request id, a place in the queue, its errors, a line of log.

Calls of other services (health, reflection) pass untouched, so a full server still answers probes. The line
of log is written when the reply is on its way: nobody waits for it.
"""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import grpc
import grpc.aio

from engine import faults, logs
from engine.errors import DeadlineExceeded, Overloaded, SprError

_log = logging.getLogger("spr.rpc")
_OURS = "/spr."


class Gate:
    """Counts calls in flight and refuses those beyond `limit`. Usable from many threads."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._inside = 0
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside >= self.limit:
                raise Overloaded(f"{self.limit} calls are in flight, which is the limit; try again")
            self._inside += 1

    def __exit__(self, *exc: object) -> None:
        with self._lock:
            self._inside -= 1


class SyncInterceptor(grpc.ServerInterceptor):
    """For thread-pool servers; unary calls only, the workers have no others."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._known: dict[str, Any] = {}

    def intercept_service(self, continuation: Callable[..., Any], handler_call_details: Any) -> Any:
        """Wrap the method's handler, once for all its calls."""
        method = str(handler_call_details.method)
        if method not in self._known:
            handler = continuation(handler_call_details)
            if handler is None or not method.startswith(_OURS):
                return handler
            self._known[method] = self._unary(method, handler)
        return self._known[method]

    def _unary(self, method: str, handler: Any) -> Any:
        def call(request: Any, context: grpc.ServicerContext) -> Any:
            began = time.perf_counter()
            code = grpc.StatusCode.OK
            try:
                logs.bind_request_id(getattr(request, "request_id", ""))
                with self._gate:
                    _refuse_late(context.time_remaining())
                    return handler.unary_unary(request, context)
            except Exception as error:
                code = _note(error, method)
                context.abort_with_status(faults.grpc_status(error, logs.request_id.get()))
            finally:
                write = _account(method, code, began)
                if not context.add_callback(write):
                    write()

        return grpc.unary_unary_rpc_method_handler(
            call, handler.request_deserializer, handler.response_serializer
        )


class AioInterceptor(grpc.aio.ServerInterceptor):
    """For grpc.aio servers; unary and server-streaming calls."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._known: dict[str, Any] = {}

    async def intercept_service(self, continuation: Callable[..., Any], handler_call_details: Any) -> Any:
        """Wrap the method's handler, once for all its calls."""
        method = str(handler_call_details.method)
        if method not in self._known:
            handler = await continuation(handler_call_details)
            if handler is None or not method.startswith(_OURS):
                return handler
            self._known[method] = self._wrapped(method, handler)
        return self._known[method]

    def _wrapped(self, method: str, handler: Any) -> Any:
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream),
                handler.request_deserializer,
                handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler.unary_unary),
            handler.request_deserializer,
            handler.response_serializer,
        )

    def _unary(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Any) -> Any:
            began = time.perf_counter()
            code = grpc.StatusCode.OK
            try:
                logs.bind_request_id(getattr(request, "request_id", ""))
                with self._gate:
                    return await behaviour(request, context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                code = _note(error, method)
                await context.abort_with_status(faults.grpc_status(error, logs.request_id.get()))
            finally:
                when_over(context, _account(method, code, began))

        return call

    def _stream(self, method: str, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        async def call(request: Any, context: Any) -> AsyncIterator[Any]:
            began = time.perf_counter()
            code = grpc.StatusCode.OK
            try:
                logs.bind_request_id(getattr(request, "request_id", ""))
                with self._gate:
                    async for reply in behaviour(request, context):
                        yield reply
            except (asyncio.CancelledError, GeneratorExit, grpc.aio.AbortError):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                code = _note(error, method)
                await context.abort_with_status(faults.grpc_status(error, logs.request_id.get()))
            finally:
                when_over(context, _account(method, code, began))

        return call


def when_over(context: Any, write: Callable[[], None]) -> None:
    """Call `write` when a call of a grpc.aio server has ended, its reply on its way."""
    context.add_done_callback(lambda _: write())


def _refuse_late(remaining: float | None) -> None:
    # A call that waited past its deadline is not worth computing: nobody reads the answer.
    if remaining is not None and remaining <= 0:
        raise DeadlineExceeded("the deadline passed while the call waited")


def _note(error: Exception, method: str) -> grpc.StatusCode:
    if isinstance(error, SprError):
        _log.info("%s refused: %s", method, error, extra={"reason": error.reason})
        return error.status
    _log.error("%s failed", method, exc_info=error)
    return grpc.StatusCode.INTERNAL


def _account(method: str, code: grpc.StatusCode, began: float) -> Callable[[], None]:
    """Return what writes the line of a call that ends now, under the call's own request id."""
    elapsed = round(1000 * (time.perf_counter() - began), 3)
    # At debug: a search has a line of its own at info, and a failure has `_note`'s.
    line = partial(_log.debug, "%s %s", method, code.name, extra={"ms": elapsed})
    return partial(contextvars.copy_context().run, line)
