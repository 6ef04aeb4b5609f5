"""One probe of a worker: what it holds, what is wrong with it, and what it should prepare or drop."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import grpc.aio

from engine import protocol
from engine.fleet import ENCODER
from engine.leftovers import Leftovers
from engine.library import Library
from engine.preparing import Preparing
from engine.replica import Replica
from engine.replicas import DRAINS, Replicas
from engine.served import Collections, ServedCollection
from engine.worker_state import Role, WorkerState, lacking, unfit
from spr.internal.v1.index_shard_service_pb2 import GetShardInfoRequest
from spr.internal.v1.ranker_service_pb2 import GetRankerInfoRequest
from spr.internal.v1.version_service_pb2 import HeldVersion, WorkerReport

PATIENCE = 1.0


class Probes:
    """Asks workers how they are. down: why a worker's process has ended, by target."""

    def __init__(
        self,
        collections: Collections,
        preparing: Preparing,
        library: Library | None,
        down: Mapping[str, str],
    ) -> None:
        self._collections, self._preparing, self._library = collections, preparing, library
        self._down = down
        self._leftovers = Leftovers(collections, preparing)

    async def index(self, replicas: Replicas[Any], name: str, member: Replica[Any]) -> WorkerState:
        """Ask an index worker."""
        try:
            info = await member.stub.shard.GetShardInfo(GetShardInfoRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as failure:
            return self._unreachable("index", replicas, name, member, failure)
        fault = f"serves {info.shard}" if info.shard != name else ""
        return self._answered("index", replicas, name, member, info, fault)

    async def ranker(self, replicas: Replicas[Any], name: str, member: Replica[Any]) -> WorkerState:
        """Ask a ranker worker, or an encoder."""
        role: Role = "encoder" if replicas.name == ENCODER else "ranker"
        try:
            info = await member.stub.ranker.GetRankerInfo(GetRankerInfoRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as failure:
            return self._unreachable(role, replicas, name, member, failure)
        return self._answered(role, replicas, name, member, info, "")

    async def library(self) -> WorkerState:
        """Ask the library process."""
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
            member.barred, member.reported = "", None
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
        lacks = self._lacks(member, info.held) if role == "ranker" else ""
        member.held = set() if fault else set(held) - set(wrong)
        replicas.probed(member, fault)
        state = WorkerState(
            role,
            name,
            member.target,
            reached=True,
            fault=fault,
            held=held,
            last_error=lacks or member.health.last_error,
            bytes_resident=info.bytes_resident,
            report=report,
            calls=member.calls,
            outstanding=member.health.outstanding,
            shards=member.shards,
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

    def _lacks(self, ranker: Replica[Any], held: Sequence[HeldVersion]) -> str:
        """Note what a ranker reports to hold, by which it is asked; return what lacks, "" for nothing."""
        known = [
            (one, served.corpus.version)
            for one in held
            for collection in self._collections.all
            if (served := collection.versions.get(one.version)) is not None
        ]
        partial = any(lacking(one, version) for one, version in known)
        ranker.reported = frozenset(shard for one, _ in known for shard in one.shards) if partial else None
        away = sorted(
            {shard for one, version in known for shard in lacking(one, version, ranker.place.shards)}
        )
        return f"lacks {', '.join(away)}, which the topology says it has; restart it" if away else ""

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
