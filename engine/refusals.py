"""Refusals: of calls before they are read, and how the log tells of them.

Under overload most calls are refused, so a refusal must cost little: its status is made once for all alike,
and the log counts.
"""

import logging
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import grpc

from engine import faults, logs, metrics
from engine.errors import Overloaded, SprError

_log = logging.getLogger("spr.rpc")
UNKNOWN = "unknown"  # a method that nobody serves, in the metrics: a caller may invent any number
LONGEST_METHOD = 80  # characters in the log: a caller may invent a name


class Counted:
    """Logs refusals for overload: a line a second at most, with their number."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._count, self._next = clock, 0, float("-inf")

    def note(self, method: str, error: Overloaded) -> None:
        """Count a refusal; log it where none was within the last second."""
        self._count += 1
        if (now := self._clock()) < self._next:
            return
        extra = {"reason": error.reason, "refused": self._count}
        _log.info("%s refused: %s", named(method), faults.words_of(error), extra=extra)
        self._count, self._next = 0, now + 1.0


_counted = Counted()


def named(method: str) -> str:
    """Return a method's name as the log has it."""
    return method[:LONGEST_METHOD]


def note(error: Exception, method: str) -> grpc.StatusCode:
    """Log why a call failed; return its status code."""
    if isinstance(error, Overloaded):
        _counted.note(method, error)
        return error.status
    if isinstance(error, SprError):
        words = faults.words_of(error)
        _log.info("%s refused: %s", named(method), words, extra={"reason": error.reason})
        return error.status
    _log.error("%s failed", method, exc_info=error)
    return grpc.StatusCode.INTERNAL


def handler(method: str, error: SprError, counted_as: str = "") -> Any:
    """Return a handler that fails the call unread: of streams, since gRPC reads unary requests first.

    counted_as: in the metrics, if not as the method.
    """

    async def call(messages: Any, context: Any) -> None:
        await refuse(context, method, error, counted_as)

    return grpc.stream_unary_rpc_method_handler(call)


async def refuse(context: Any, method: str, error: SprError, counted_as: str = "") -> None:
    """Fail a call that was not read."""
    metrics.refused(counted_as or method, error.status.name)
    if isinstance(error, Overloaded):
        _counted.note(method, error)
        await context.abort_with_status(_status(str(error), error.reason, error.retry_after or 0.0))
    logs.bind_request_id("")
    note(error, method)
    await context.abort_with_status(faults.grpc_status(error, logs.request_id.get()))


@lru_cache(maxsize=128)
def _status(message: str, reason: str, retry_after: float) -> grpc.Status:
    return faults.grpc_status(Overloaded(message, reason, retry_after))
