"""Copies of one worker, any of which may answer: taken in turn, replaced when dead, doubled when slow."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar

import grpc
import grpc.aio

from engine.serving import CHANNEL_OPTIONS

Stub = TypeVar("Stub")
Reply = TypeVar("Reply")

# Another copy may answer these; everything else it would answer alike.
_RETRYABLE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class Replica(Generic[Stub]):
    """One worker process: its address, and a stub on a channel of its own."""

    def __init__(self, target: str, stub: Callable[[grpc.aio.Channel], Stub]) -> None:
        self.target = target
        self.channel = grpc.aio.insecure_channel(target, CHANNEL_OPTIONS)
        self.stub = stub(self.channel)


class Replicas(Generic[Stub]):
    """The copies of one worker. Belongs to the event loop it was made in."""

    def __init__(self, name: str, targets: Sequence[str], stub: Callable[[grpc.aio.Channel], Stub]) -> None:
        self.name = name
        self.members = [Replica(target, stub) for target in targets]
        self._turn = 0

    async def call(self, attempt: Callable[[Stub], Awaitable[Reply]], hedge_after: float = 0.0) -> Reply:
        """Return the first answer of `attempt(stub)`; each copy is asked at most once.

        The next copy is asked when one cannot answer (UNAVAILABLE, RESOURCE_EXHAUSTED), and, if
        `hedge_after` > 0, when the others have been silent for so many seconds. Raises the last failure.
        `attempt` sets the time limit of its call; reads only, since two copies may both do the work.
        """
        if len(self.members) == 1:
            # Nobody to turn to: no task is needed to watch it.
            return await attempt(self.members[0].stub)
        waiting = self._in_turn()
        running = {_start(attempt, waiting.pop(0))}
        try:
            while True:
                patience = hedge_after if waiting and hedge_after > 0 else None
                done, running = await asyncio.wait(
                    running, timeout=patience, return_when=asyncio.FIRST_COMPLETED
                )
                failure = None
                for task in done:
                    failure = task.exception()
                    if failure is None:
                        return task.result()
                    if not _retryable(failure):
                        raise failure
                if waiting:
                    running.add(_start(attempt, waiting.pop(0)))
                elif failure is not None and not running:
                    raise failure
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def close(self) -> None:
        """Close the channels."""
        for member in self.members:
            await member.channel.close()

    def _in_turn(self) -> list[Replica[Stub]]:
        self._turn = (self._turn + 1) % len(self.members)
        return self.members[self._turn :] + self.members[: self._turn]


def _start(attempt: Callable[[Stub], Awaitable[Reply]], replica: Replica[Stub]) -> "asyncio.Task[Reply]":
    async def run() -> Reply:
        return await attempt(replica.stub)

    return asyncio.create_task(run())


def _retryable(failure: Any) -> bool:
    return isinstance(failure, grpc.aio.AioRpcError) and failure.code() in _RETRYABLE
