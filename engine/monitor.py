"""Health probes: asks every worker what it holds, and has it prepare what it lacks.

Once a second; of one that is not well four times a second, so that it is used as soon as it is back.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import grpc.aio

from engine import protocol
from engine.fleet import RANKER, Fleet
from engine.leftovers import Leftovers
from engine.library import Library
from engine.preparing import Preparing
from engine.replicas import DRAINS, Replica, Replicas
from engine.served import Collections, ServedCollection
from engine.worker_state import Role, WorkerState, unfit
from spr.internal.v1.index_shard_service_pb2 import GetShardInfoRequest
from spr.internal.v1.ranker_service_pb2 import GetRankerInfoRequest
from spr.internal.v1.version_service_pb2 import HeldVersion, WorkerReport

_log = logging.getLogger("spr.monitor")
INTERVAL, SHORT = 1.0, 0.25
PATIENCE = 1.0
# A worker's name and address, and what asks it.
Key: TypeAlias = tuple[str, str]
Probe: TypeAlias = Callable[[], Awaitable[WorkerState]]


class Monitor:
    """The state of every worker.

    down: why a worker's process has ended, by target, as the supervisor reports. on_lost: called when a
    worker that answered does not.
    """

    def __init__(
        self,
        collections: Collections,
        fleet: Fleet,
        preparing: Preparing,
        library: Library | None = None,
        down: Mapping[str, str] | None = None,
    ) -> None:
        self._collections, self._preparing, self._library = collections, preparing, library
        self._down = {} if down is None else down
        self._fleet = fleet
        self._found: dict[Key, WorkerState] = {}
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._due: dict[Key, float] = {}
        self.on_lost: Callable[[], None] = lambda: None
        self._late_since: dict[str, float] = {}
        self._leftovers = Leftovers(collections, preparing)

    @property
    def workers(self) -> list[WorkerState]:
        """What the last probe of each worker found: index workers by shard, rankers, the library."""
        return [self._found[key] for key in self._probes() if key in self._found]

    @property
    def healthy(self) -> bool:
        """Whether a search can be answered: of a collection a shard is served, and by a ranker."""
        return any(
            {"index", "ranker"} <= {worker.role for worker in self.workers if worker.serves(collection)}
            for collection in self._collections.all
        )

    def silent(self) -> dict[str, float]:
        """Return how long probes of each late worker have timed out, in seconds by target."""
        now = time.monotonic()
        return {target: round(now - since, 1) for target, since in self._late_since.items()}

    async def run(
        self, on_change: Callable[[bool], Awaitable[None]], on_look: Callable[[], None] = lambda: None
    ) -> None:
        """Probe every worker until cancelled; `on_change` is told when `healthy` changes."""
        known: bool | None = None
        next_look = 0.0
        await self.look()
        try:
            while True:
                now = time.monotonic()
                if self.healthy != known:
                    known = self.healthy
                    await on_change(known)
                if now >= next_look:
                    next_look = now + INTERVAL
                    on_look()
                self._begin(now)
                await asyncio.sleep(min(SHORT, INTERVAL))
        finally:
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def look(self) -> None:
        """Probe every worker now, and wait for what they say."""
        self._begin(None)
        await asyncio.gather(*self._running.values())

    def _probes(self) -> dict[Key, Probe]:
        """Return how to probe each worker that the topology has now."""
        found: dict[Key, Probe] = {}
        for name, shard in self._fleet.shards.items():
            found |= {(name, one.target): partial(self._index, shard, name, one) for one in shard.members}
        for i, one in enumerate(self._fleet.rankers.members):
            name = f"{RANKER}-{i}"
            found[name, one.target] = partial(self._ranker, self._fleet.rankers, name, one)
        if self._library is not None:
            found["library", self._library.target] = self._of_library
        return found

    def _begin(self, now: float | None) -> None:
        """Start the probes that are due at `now`, all for None, but for those that run already."""
        probes = self._probes()
        for gone in set(self._found) - set(probes):
            self._found.pop(gone)
            self._due.pop(gone, None)
            self._late_since.pop(gone[1], None)
        for key, probe in probes.items():
            if key not in self._running and (now is None or now >= self._due.get(key, 0.0)):
                self._running[key] = asyncio.create_task(self._probe(key, probe))

    async def _probe(self, key: Key, probe: Probe) -> None:
        began, target = time.monotonic(), key[1]
        self._due[key] = began + INTERVAL
        try:
            state = await probe()
        except Exception as error:
            _log.error("the probe of %s failed", target, exc_info=error)
            return
        finally:
            self._running.pop(key, None)
        if state.state != "serving":
            self._due[key] = began + SHORT
        before, self._found[key] = self._found.get(key), state
        if before is None or before.state != state.state:
            _log.info("%s at %s is %s", state.name, target, state.state, extra={"why": state.why})
            if before is not None and not state.reached:
                self.on_lost()
        if state.late:
            self._late_since.setdefault(target, began)
        else:
            self._late_since.pop(target, None)

    async def _index(self, replicas: Replicas[Any], name: str, member: Replica[Any]) -> WorkerState:
        try:
            info = await member.stub.shard.GetShardInfo(GetShardInfoRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as failure:
            return self._unreachable("index", replicas, name, member, failure)
        fault = f"serves {info.shard}" if info.shard != name else ""
        return self._answered("index", replicas, name, member, info, fault)

    async def _ranker(self, replicas: Replicas[Any], name: str, member: Replica[Any]) -> WorkerState:
        try:
            info = await member.stub.ranker.GetRankerInfo(GetRankerInfoRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as failure:
            return self._unreachable("ranker", replicas, name, member, failure)
        return self._answered("ranker", replicas, name, member, info, "")

    async def _of_library(self) -> WorkerState:
        assert self._library is not None
        target, began = self._library.target, WorkerState("library", "library", self._library.target)
        try:
            info = await self._library.info(PATIENCE)
        except grpc.aio.AioRpcError as failure:
            late = failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED
            return replace(began, fault=self._down.get(target) or _why(failure), late=late)
        return replace(
            began,
            reached=True,
            fault=protocol.refusal(info.protocol),
            bytes_resident=info.bytes_resident,
            report=WorkerReport(protocol=info.protocol, calls_waiting=info.jobs_waiting),
        )

    def _unreachable(
        self,
        role: Role,
        replicas: Replicas[Any],
        name: str,
        member: Replica[Any],
        failure: grpc.aio.AioRpcError,
    ) -> WorkerState:
        late = failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        if late:
            replicas.missed(member, _why(failure))
        else:
            # The process has gone: the next one at this address begins anew.
            member.held.clear()
            member.barred = ""
            self._preparing.forget(member.target)
        fault = self._down.get(member.target) or _why(failure)
        outstanding = member.health.outstanding
        return WorkerState(
            role, name, member.target, fault=fault, late=late, calls=member.calls, outstanding=outstanding
        )

    def _answered(
        self, role: Role, replicas: Replicas[Any], name: str, member: Replica[Any], info: Any, fault: str
    ) -> WorkerState:
        """Return the state of a worker that answered, and have it prepare and drop what it should."""
        report, refused = info.report, protocol.refusal(info.report.protocol)
        fault = fault or refused
        member.barred = refused or (DRAINS if report.draining else "")
        held = {one.version: one for one in info.held}
        wrong = {one.version: why for one in info.held if (why := self._wrong(role, one))}
        member.held = set() if fault else set(held) - set(wrong)
        replicas.probed(member, fault)
        state = WorkerState(
            role,
            name,
            member.target,
            reached=True,
            fault=fault,
            held=held,
            last_error=member.health.last_error,
            bytes_resident=info.bytes_resident,
            report=report,
            calls=member.calls,
            outstanding=member.health.outstanding,
        )
        if fault:
            return state
        self._leftovers.drop(member, held.values())
        problems = {
            collection.name: problem
            for collection in self._collections.all
            if state.concerns(collection) and (problem := self._problem(member, collection, wrong))
        }
        return replace(state, problems=problems)

    def _wrong(self, role: Role, held: HeldVersion) -> str:
        """Return why nothing may be asked of a version that a worker holds, "" if it may."""
        for collection in self._collections.all:
            served = collection.versions.get(held.version)
            if served is not None:
                return unfit(role, held, served.corpus.version)
        return held.fault

    def _problem(self, member: Replica[Any], collection: ServedCollection, wrong: Mapping[str, str]) -> str:
        """Return why a worker does not answer from a collection's active version; ask it to prepare it."""
        assert collection.active is not None
        version = collection.active.corpus.id
        if version in member.held:
            return ""
        if version in wrong:
            return wrong[version]
        refusal = self._preparing.refusal(member.target, version)
        if self._preparing.runs(member.target, version):
            return f"prepares version {version}"
        if refusal is None or time.monotonic() >= refusal.again:
            self._preparing.begin(member, collection.name, version)
        if refusal is not None:
            return f"cannot prepare version {version}: {refusal.why}"
        there = ", ".join(sorted(member.held)) or "none"
        return f"does not hold version {version} (it holds: {there}); it was asked to prepare it"


def _why(failure: grpc.aio.AioRpcError) -> str:
    if failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"did not answer within {PATIENCE:g} s"
    return failure.details() or failure.code().name
