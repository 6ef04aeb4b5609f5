"""What happens around every call: its message, request id, place at the gate, errors, and line of log.

Calls of other services (health, reflection) are only read here and take no place, so a full server still
answers probes. A call takes its place when its message is there: one that is opened and never sent holds
none. A call that would find no place is refused before it is read. The line of log is written when the reply
is on its way: nobody waits for it.
"""

import asyncio
import contextlib
import contextvars
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from typing import Any

import grpc
import grpc.aio

from engine import faults, logs, reading
from engine.errors import DeadlineExceeded, InvalidInput, SprError, WrongPort
from engine.gate import Gate

_log = logging.getLogger("spr.rpc")
_OURS = "/spr."
WRITE_PATIENCE = 10.0  # seconds that a stream's message waits for its reader
LONGEST_METHOD = 80  # of a name in the log: whoever calls may make one up

Behaviour = Callable[..., Any]


class Interceptor(grpc.aio.ServerInterceptor):
    """Wraps the methods of a grpc.aio server.

    gate: for every method of ours that `gates` does not name. pool: runs the methods that are no coroutines.
    about: what is served here and what elsewhere, for who asks a method that is not here.
    """

    def __init__(
        self,
        gate: Gate,
        pool: Executor | None = None,
        about: str = "",
        gates: Mapping[str, Gate] | None = None,
    ) -> None:
        self._gate = gate
        self._pool = pool
        self._about = about
        self._gates = gates or {}
        self._known: dict[str, Any] = {}

    async def intercept_service(self, continuation: Callable[..., Any], handler_call_details: Any) -> Any:
        """Return the wrapped handler of a method, or one that refuses the call without reading it."""
        method = str(handler_call_details.method)
        if method not in self._known:
            handler = await continuation(handler_call_details)
            if handler is None:
                return _refusing(
                    method, WrongPort(f"{method[:LONGEST_METHOD]} is not served at this port; {self._about}")
                )
            self._known[method] = self._wrapped(method, handler)
        if method.startswith(_OURS) and (gate := self._gate_of(method)).full:
            return _refusing(method, gate.refusal())
        return self._known[method]

    def _gate_of(self, method: str) -> Gate:
        return self._gates.get(method, self._gate)

    def _wrapped(self, method: str, handler: Any) -> Any:
        """Return a handler that is given bytes; what they are is read inside, where errors have words."""
        read, write = handler.request_deserializer, handler.response_serializer
        if handler.request_streaming:
            streamed = reading.stream(handler.stream_stream, read, method)
            return grpc.stream_stream_rpc_method_handler(streamed, None, write)
        if not method.startswith(_OURS):
            behaviour = reading.unary(handler.unary_stream or handler.unary_unary, read, method)
        elif handler.response_streaming:
            behaviour = self._accounted(method, partial(self._stream, method, read, handler.unary_stream))
        else:
            behaviour = self._accounted(method, partial(self._unary, method, read, handler.unary_unary))
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(behaviour, None, write)
        return grpc.unary_unary_rpc_method_handler(behaviour, None, write)

    def _accounted(self, method: str, answer: Callable[[bytes, Any], Awaitable[Any]]) -> Behaviour:
        """Return `answer` with its errors made statuses, and a line of log."""

        async def call(data: bytes, context: Any) -> Any:
            began = time.perf_counter()
            code = grpc.StatusCode.OK
            try:
                return await answer(data, context)
            except (asyncio.CancelledError, grpc.aio.AbortError):
                code = grpc.StatusCode.CANCELLED
                raise
            except Exception as error:
                code = _note(error, method)
                await context.abort_with_status(faults.grpc_status(error, logs.request_id.get()))
            finally:
                when_over(context, _account(method, code, began))

        return call

    async def _unary(
        self, method: str, read: Behaviour, behaviour: Behaviour, data: bytes, context: Any
    ) -> Any:
        request = _ours(read, data, method)
        _refuse_late(context)
        gate = self._gate_of(method)
        gate.enter()
        if not inspect.iscoroutinefunction(behaviour):
            return await self._in_pool(gate, behaviour, request, context)
        try:
            return await behaviour(request, context)
        finally:
            gate.leave()

    async def _in_pool(self, gate: Gate, behaviour: Behaviour, request: Any, context: Any) -> Any:
        def run() -> Any:
            _refuse_late(context)
            return behaviour(request, context)

        if self._pool is None:
            raise TypeError(f"{behaviour} is no coroutine, and the server has no threads to run it in")
        try:
            future = self._pool.submit(contextvars.copy_context().run, run)
        except BaseException:
            gate.leave()
            raise
        # When the work is done, not when the caller is gone: the thread is busy until then.
        future.add_done_callback(lambda _: gate.leave())
        return await asyncio.wrap_future(future)

    async def _stream(
        self, method: str, read: Behaviour, behaviour: Behaviour, data: bytes, context: Any
    ) -> None:
        """Compute at the gate, write outside: a reader that never comes holds no place."""
        request = _ours(read, data, method)
        _refuse_late(context)
        gate = self._gate_of(method)
        gate.enter()
        replies: asyncio.Queue[Any] = asyncio.Queue()

        async def compute() -> None:
            async with contextlib.aclosing(behaviour(request, context)) as answers:
                async for reply in answers:
                    replies.put_nowait(reply)

        def over(_: object) -> None:
            gate.leave()
            replies.put_nowait(None)

        computing = asyncio.create_task(compute())
        # Not in the task itself: one that is cancelled before it began runs none of its lines.
        computing.add_done_callback(over)
        try:
            while (reply := await replies.get()) is not None:
                await _written(context, reply)
            await computing
        finally:
            computing.cancel()


def when_over(context: Any, write: Callable[[], None]) -> None:
    """Call `write` when a call of a grpc.aio server has ended, its reply on its way."""
    context.add_done_callback(lambda _: write())


def _refusing(method: str, error: SprError) -> Any:
    """Return a handler that answers with an error and reads no message: its kind is one of streams."""

    async def call(messages: Any, context: Any) -> None:
        began = time.perf_counter()
        logs.bind_request_id("")
        code = _note(error, method)
        when_over(context, _account(method, code, began))
        await context.abort_with_status(faults.grpc_status(error, logs.request_id.get()))

    return grpc.stream_unary_rpc_method_handler(call)


def _ours(read: Behaviour, data: bytes, method: str) -> Any:
    """Return the request that a message is; what happens from here on has its request id."""
    try:
        request = reading.request(read, data, method)
    except InvalidInput:
        logs.bind_request_id("")
        raise
    logs.bind_request_id(getattr(request, "request_id", ""))
    return request


async def _written(context: Any, reply: Any) -> None:
    try:
        await asyncio.wait_for(context.write(reply), WRITE_PATIENCE)
    except TimeoutError:
        _log.warning("nobody read an answer for %g s; its stream is closed", WRITE_PATIENCE)
        # No status could be written either, so there is none: the stream is reset.
        raise asyncio.CancelledError from None
    except grpc.aio.InternalError:
        # The caller went while it was written to.
        raise asyncio.CancelledError from None


def _refuse_late(context: Any) -> None:
    # A call that waited past its deadline is not worth computing: nobody reads the answer.
    remaining = context.time_remaining()
    if remaining is not None and remaining <= 0:
        raise DeadlineExceeded("the deadline passed while the call waited")


def _note(error: Exception, method: str) -> grpc.StatusCode:
    if isinstance(error, SprError):
        words = faults.words_of(error)
        _log.info("%s refused: %s", method[:LONGEST_METHOD], words, extra={"reason": error.reason})
        return error.status
    _log.error("%s failed", method, exc_info=error)
    return grpc.StatusCode.INTERNAL


def _account(method: str, code: grpc.StatusCode, began: float) -> Callable[[], None]:
    """Return what writes the line of a call that ends now, under the call's own request id."""
    elapsed = round(1000 * (time.perf_counter() - began), 3)
    # At debug: a search has a line of its own at info, and a failure has `_note`'s.
    line = partial(_log.debug, "%s %s", method[:LONGEST_METHOD], code.name, extra={"ms": elapsed})
    return partial(contextvars.copy_context().run, line)
