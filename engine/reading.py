"""Messages read where errors have words: gRPC would answer UNKNOWN and leave a traceback in the log."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from engine import faults
from engine.errors import InvalidInput

Behaviour = Callable[..., Any]


def request(read: Behaviour, data: bytes, method: str) -> Any:
    """Return the message that `read` makes of bytes; InvalidInput if they are none."""
    try:
        return read(data)
    except Exception:
        message = f"the {len(data)} bytes are no request of {method}; send its message, with texts in UTF-8"
        raise InvalidInput(message, "MESSAGE_INVALID") from None


def unary(behaviour: Behaviour, read: Behaviour, method: str) -> Behaviour:
    """Return a method of another service, of one request, as one that is given bytes."""

    async def call(data: bytes, context: Any) -> Any:
        try:
            message = request(read, data, method)
        except InvalidInput as error:
            await context.abort_with_status(faults.grpc_status(error))
        try:
            return await behaviour(message, context)
        except NotImplementedError:
            # Of a service whose proto has methods that its library has not.
            await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"{method} is not implemented")

    return call


def stream(behaviour: Behaviour, read: Behaviour, method: str) -> Behaviour:
    """Return a method of another service, of a stream of requests, as one that is given bytes."""

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
