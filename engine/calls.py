"""Calls to workers, ended when nobody waits for them any more."""

import asyncio
from collections.abc import Awaitable, Coroutine, Iterable
from typing import Any, TypeVar

Reply = TypeVar("Reply")


async def together(each: Iterable[Coroutine[Any, Any, Reply]]) -> list[Reply]:
    """Return what all return, run side by side, in order; one that fails cancels the others and is raised."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in each]
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
    return [task.result() for task in tasks]


async def answer(call: Awaitable[Reply]) -> Reply:
    """Return what a unary call of grpc.aio answers; cancelled, cancel the call without a leak.

    A call whose own task is cancelled loses 900 bytes of its batch (github.com/grpc/grpc/issues/43360): every
    hedge leaves such a call. So the task is left to end by itself, and the call is cancelled below it.
    """
    of: Any = call
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    of.add_done_callback(lambda _: None if over.done() else over.set_result(None))
    try:
        await over
    except asyncio.CancelledError:
        # `_cancel` is private to grpc.aio; without it there is `cancel`, which loses those bytes.
        below = getattr(of, "_cancel", lambda _: of.cancel())
        below("nobody waits for the answer any more")
        raise
    return await call
