"""Deserialises requests inside the handler, so a malformed one is INVALID_ARGUMENT.

In gRPC's own deserialiser it would be UNKNOWN, with a traceback in the log.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from engine import faults
from engine.errors import InvalidInput

Behaviour = Callable[..., Any]


def request(read: Behaviour, data: bytes, method: str) -> Any:
    """Deserialise `data` with `read`; InvalidInput if it is no such message."""
    try:
        return read(data)
    except Exception:
        message = f"the {len(data)} bytes are no request of {method}; send its message, with texts in UTF-8"
        raise InvalidInput(message, "MESSAGE_INVALID") from None


def unary(behaviour: Behaviour, read: Behaviour, method: str) -> Behaviour:
    """Wrap a unary-request method of a third-party service to take bytes."""

    async def call(data: bytes, context: Any) -> Any:
        try:
            message = request(read, data, method)
        except InvalidInput as error:
            await context.abort_with_status(faults.grpc_status(error))
        try:
            return await behaviour(message, context)
        except NotImplementedError:
            # Reflection and health declare methods that their library does not implement.
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not implemented")

    return call


def stream(behaviour: Behaviour, read: Behaviour, method: str) -> Behaviour:
    """Wrap a streaming-request method of a third-party service to take bytes."""

    async def requests(messages: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for data in messages:
            yield request(read, data, method)

    async def call(messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
        try:
            async for reply in behaviour(requests(messages), context):
                yield reply
        except InvalidInput as error:
            await context.abort_with_status(faults.grpc_status(error))

    return call
