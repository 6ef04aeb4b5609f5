"""Has a worker answer no new searches, unless nothing else answers them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc.aio

from engine import faults
from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable, quoted
from engine.fleet import Fleet
from engine.monitor import Monitor
from engine.probes import PATIENCE
from engine.replica import Replica
from engine.served import Collections
from engine.worker_state import WorkerState
from spr.internal.v1.version_service_pb2 import DrainRequest


class Draining:
    """Drains workers, one at a time, so that two that stand in for each other are never drained both."""

    def __init__(self, fleet: Fleet, monitor: Monitor, collections: Collections) -> None:
        self._fleet, self._monitor, self._collections = fleet, monitor, collections
        self._one_at_a_time = asyncio.Lock()

    async def drain(self, worker: str, undo: bool, force: bool) -> WorkerState:
        """Drain a worker, or end that; return its state then. worker: as `named` takes it.

        Mismatch LAST_WORKER where no other worker does its work, unless `force`.
        """
        async with self._one_at_a_time:
            await self._monitor.look()
            found = named(worker, self._monitor.workers)
            if not (undo or force):
                self._check_others(found)
            member = self._member(found)
            try:
                await member.stub.versions.Drain(DrainRequest(undo=undo), timeout=PATIENCE)
            except grpc.aio.AioRpcError as failure:
                message = f"{_label(found)} does not answer: {faults.told_by(failure)}"
                raise Unavailable(message, "WORKER_UNREACHABLE") from None
            await self._monitor.look()
            return named(f"{found.name}@{found.target}", self._monitor.workers)

    def _check_others(self, worker: WorkerState) -> None:
        """Refuse to drain the last worker that serves a shard, or that ranks, of any collection."""
        for collection in self._collections.all:
            if collection.active is None or not worker.serves(collection):
                continue
            others = [
                one
                for one in self._monitor.workers
                if one.role == worker.role and one.target != worker.target and one.serves(collection)
            ]
            shards = {shard.name for shard in collection.active.corpus.version.shards}
            if not _stand_in(others, worker, shards):
                works = {"ranker": "ranks", "encoder": "encodes"}
                work = works.get(worker.role, f"serves its shard of {collection.name!r}")
                raise Mismatch(
                    f"{_label(worker)} is the last worker that {work}, so searches would lack it; start "
                    "another one first, or say --force",
                    "LAST_WORKER",
                )

    def _member(self, worker: WorkerState) -> Replica[Any]:
        groups = {"ranker": self._fleet.rankers, "encoder": self._fleet.encoders}
        group = groups.get(worker.role) or self._fleet.shards[worker.name]
        return next(one for one in group.members if one.target == worker.target)


def named(worker: str, workers: Sequence[WorkerState]) -> WorkerState:
    """Return the index or ranker worker that is meant.

    worker: "shard-00000@127.0.0.1:7410", the target alone, or a name that no other worker has.
    NotFound with the names there are; InvalidInput for a name of several, and for the library.
    """
    found = [one for one in workers if worker in (_label(one), one.target, one.name)]
    if not found:
        there = ", ".join(_label(one) for one in workers if one.role != "library")
        raise NotFound(f"there is no worker {quoted(worker)}; there are: {there}", "WORKER_NOT_FOUND")
    if len(found) > 1:
        several = ", ".join(map(_label, found))
        raise InvalidInput(f"{quoted(worker)} names {len(found)} workers; say one: {several}", field="worker")
    if found[0].role == "library":
        message = "the library answers no searches, so it needs no draining; stop it whenever you like"
        raise InvalidInput(f"{message}: its jobs go on when it is back", field="worker")
    return found[0]


def _stand_in(others: Sequence[WorkerState], worker: WorkerState, shards: set[str]) -> bool:
    """Whether others of its role do all that a worker does; shards: of the version that is served."""
    if worker.role == "index":
        return any(one.name == worker.name for one in others)
    mine = shards if worker.shards is None else shards & worker.shards
    return any(one.shards is None for one in others) or (
        bool(others) and mine <= {shard for one in others for shard in one.shards or ()}
    )


def _label(worker: WorkerState) -> str:
    return f"{worker.name}@{worker.target}"
