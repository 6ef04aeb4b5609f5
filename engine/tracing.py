"""Traces: W3C context from the caller and to the workers, and a span a stage of the calls that are sampled.

    with tracing.call(method, context):        the interceptor, around every call
        with tracing.span("retrieve"):         a stage
            tracing.note(hits=200)             attributes of the span that is open
            stub.Search(..., metadata=tracing.outgoing())

A caller's `traceparent` decides whether its call is sampled; without one the coordinator does. A call that is
not sampled pays for one look at its metadata. OpenTelemetry is imported only if `[tracing]` is configured.
"""

import asyncio
import contextlib
import contextvars
import re
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc.aio

from engine import logs
from engine.errors import InvalidInput, SprError
from engine.process_config import TracingConfig

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from engine.tracing_export import Recorder

Attributes: TypeAlias = "str | int | float | bool"
TRACEPARENT = "traceparent"
_FORMAT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NOTHING: AbstractContextManager[None] = contextlib.nullcontext()


@dataclass(frozen=True, slots=True)
class Trace:
    """The trace of a call: ids in hexadecimal, as in `traceparent`. recorded: its span, where sampled."""

    id: str
    span: str
    sampled: bool
    recorded: "Span | None" = None


_current: contextvars.ContextVar[Trace | None] = contextvars.ContextVar("trace", default=None)
_recorder: "Recorder | None" = None
query_text = False
"""Whether spans carry the sentence that is searched for."""


def configure(config: TracingConfig | None, role: str, name: str, source: object) -> None:
    """Record spans from now on; InvalidInput if OpenTelemetry is not installed.

    role, name: of this process. source: the file of the configuration.
    """
    global _recorder, query_text
    if config is None:
        return
    try:
        from engine.tracing_export import Recorder
    except ModuleNotFoundError as error:
        raise InvalidInput(
            f"[tracing] in {source} needs {error.name}; "
            'install it with: pip install "spr-engine[traces]", or remove the table'
        ) from None
    _recorder, query_text = Recorder(config, role, name), config.query_text


def close() -> None:
    """Send what was recorded, for a second at most, and record no more."""
    global _recorder
    if _recorder is not None:
        _recorder.close()
        _recorder = None


def call(method: str, context: Any) -> AbstractContextManager[None]:
    """Open the span of a call that is served, and bind the trace id for logs. method: "/Service/Method"."""
    parent = _parent(context)
    if _recorder is None:
        return _Bound(parent) if parent else _NOTHING
    return _Bound(here) if (here := _recorder.serve(method, parent)) else _NOTHING


def span(name: str, **attributes: Attributes) -> AbstractContextManager[None]:
    """Open a span below the one that is open; nothing where the call is not sampled."""
    parent = _current.get()
    if parent is None or parent.recorded is None or _recorder is None:
        return _NOTHING
    return _Bound(_recorder.stage(name, parent, attributes))


def note(**attributes: Attributes) -> None:
    """Set attributes of the span that is open, if there is one."""
    here = _current.get()
    if here is not None and here.recorded is not None:
        here.recorded.set_attributes({f"spr.{name}": value for name, value in attributes.items()})


def outgoing() -> tuple[tuple[str, str], ...] | None:
    """Return the metadata of a call to another process."""
    here = _current.get()
    if here is None:
        return None
    return ((TRACEPARENT, f"00-{here.id}-{here.span}-{'01' if here.sampled else '00'}"),)


class _Bound:
    """Makes a trace the current one; ends its span, with what failed."""

    __slots__ = ("_here", "_id", "_token")

    def __init__(self, here: Trace) -> None:
        self._here = here

    def __enter__(self) -> None:
        self._token = _current.set(self._here)
        self._id = logs.trace_id.set(self._here.id)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current.reset(self._token)
        logs.trace_id.reset(self._id)
        if self._here.recorded is not None and _recorder is not None:
            _recorder.end(self._here.recorded, None if error is None else _words(error))


def _parent(context: Any) -> Trace | None:
    for key, value in context.invocation_metadata() or ():
        if key == TRACEPARENT and isinstance(value, str) and (found := _FORMAT.fullmatch(value)):
            return Trace(found[1], found[2], bool(int(found[3], 16) & 1))
    return None


def _words(error: BaseException) -> str:
    """Return what failed in a word: messages may have words of the query."""
    if isinstance(error, grpc.aio.AbortError) and error.__context__ is not None:
        error = error.__context__
    if isinstance(error, SprError):
        return error.reason
    if isinstance(error, grpc.aio.AioRpcError):
        return str(error.code().name)
    return "CANCELLED" if isinstance(error, asyncio.CancelledError) else "INTERNAL"
