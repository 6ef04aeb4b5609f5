"""Replies to a caller who may have left: what gRPC cannot send any more ends the call without a traceback."""

import asyncio
import logging
from typing import Any, NoReturn

import grpc
import grpc.aio

_log = logging.getLogger("spr.rpc")
WRITE_PATIENCE = 10.0  # seconds of back-pressure before a stream is reset


async def write(context: Any, reply: Any) -> None:
    """Send one reply of a stream; CancelledError where nobody takes it."""
    try:
        # Not wait_for: before Python 3.12 it swallows a cancellation that comes as the write ends, and the
        # stream of a caller who has left would hold its place for ever.
        async with asyncio.timeout(WRITE_PATIENCE):
            await context.write(reply)
    except TimeoutError:
        _log.warning("nobody read an answer for %g s; its stream is reset", WRITE_PATIENCE)
        # A status could not be written either.
        raise asyncio.CancelledError from None
    except grpc.aio.InternalError:
        # The caller went while it was written to.
        raise asyncio.CancelledError from None


async def abort(context: Any, status: grpc.Status) -> NoReturn:
    """End a call with a status; CancelledError where nobody waits for it."""
    try:
        await context.abort_with_status(status)
    except grpc.aio.InternalError:
        pass
    raise asyncio.CancelledError
