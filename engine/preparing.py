"""Asks workers to prepare versions and to drop them: PrepareVersion and DropVersion, one at a time each."""

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Any

import grpc.aio

from engine import faults
from engine.replica import Replica
from spr.internal.v1.version_service_pb2 import DropVersionRequest, PrepareVersionRequest

_log = logging.getLogger("spr.versions")
# Seconds. Large parts are read through once; a worker that hangs is found by its probes.
LONGEST = 1800.0
DROP_PATIENCE = 10.0
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 30.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a worker could not prepare a version. final: it said so itself, and was not merely away.

    again: when it is worth asking anew, on the monotonic clock. pause: seconds from this answer until then.
    """

    why: str
    final: bool
    again: float
    pause: float


class Preparing:
    """All calls of one coordinator that prepare and drop."""

    def __init__(self) -> None:
        self._running: dict[tuple[str, str], asyncio.Task[str]] = {}
        self._turns: dict[str, asyncio.Lock] = {}
        self._refusals: dict[tuple[str, str], Refusal] = {}
        self._dropping: set[asyncio.Task[None]] = set()

    async def prepare(self, member: Replica[Any], collection: str, version: str) -> str:
        """Have a worker prepare a version; return why it could not, "" where it holds the version now.

        A caller who leaves does not end the call, which another may wait for.
        """
        return await asyncio.shield(self.begin(member, collection, version))

    def begin(self, member: Replica[Any], collection: str, version: str) -> asyncio.Task[str]:
        """As `prepare`, without waiting."""
        key = member.target, version
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(self._prepare(member, collection, version))
            running.add_done_callback(lambda _: self._running.pop(key, None))
        return running

    def runs(self, target: str, version: str) -> bool:
        """Whether a worker is preparing a version."""
        return (target, version) in self._running

    def refusal(self, target: str, version: str) -> Refusal | None:
        """Return why a worker could not prepare a version when it was asked last."""
        return self._refusals.get((target, version))

    def forget(self, target: str) -> None:
        """Forget what a worker could not prepare: it has gone, and another may come back."""
        for key in [key for key in self._refusals if key[0] == target]:
            del self._refusals[key]

    def drop(self, member: Replica[Any], collection: str, version: str) -> None:
        """Have a worker drop a version, in the background."""
        member.held.discard(version)
        task = asyncio.create_task(self._drop(member, collection, version))
        self._dropping.add(task)
        task.add_done_callback(self._dropping.discard)

    async def close(self) -> None:
        """End all calls."""
        tasks = [*self._running.values(), *self._dropping]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _prepare(self, member: Replica[Any], collection: str, version: str) -> str:
        key = member.target, version
        request = PrepareVersionRequest(collection=collection, version=version)
        try:
            # A worker prepares one after the other, and refuses what it has no place for.
            async with self._turns.setdefault(member.target, asyncio.Lock()):
                await member.stub.versions.PrepareVersion(request, timeout=LONGEST)
        except grpc.aio.AioRpcError as failure:
            self._refusals[key] = refusal = _refusal(failure, self._refusals.get(key))
            return refusal.why
        self._refusals.pop(key, None)
        member.held.add(version)
        return ""

    async def _drop(self, member: Replica[Any], collection: str, version: str) -> None:
        request = DropVersionRequest(collection=collection, version=version)
        try:
            await member.stub.versions.DropVersion(request, timeout=DROP_PATIENCE)
        except grpc.aio.AioRpcError as failure:
            why = faults.told_by(failure)
            _log.info("%s did not drop version %s", member.target, version, extra={"why": why})


def _refusal(failure: grpc.aio.AioRpcError, before: Refusal | None) -> Refusal:
    pause = min(2 * before.pause, LONGEST_PAUSE) if before else FIRST_PAUSE
    final = faults.reason_of(failure) not in ("", "QUEUE_FULL")
    return Refusal(faults.told_by(failure), final, time.monotonic() + pause, pause)
