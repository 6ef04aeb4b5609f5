"""Health probes: asks every worker once a second what it is and what it serves."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import grpc.aio

from engine.collection import Collection, newest
from engine.ranking import Rankers
from engine.replicas import Replica, Replicas
from engine.retrieval import Retriever
from spr.internal.v1.index_shard_service_pb2 import GetShardInfoRequest
from spr.internal.v1.ranker_service_pb2 import GetRankerInfoRequest

_log = logging.getLogger("spr.monitor")
INTERVAL = 1.0
PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class WorkerState:
    """The result of a worker's last probe. fault: why it does not serve this generation, else empty.

    state: "serving"; "not serving": it answers, but serves something else; "unreachable".
    late: whether the probe timed out.
    """

    role: Literal["index", "ranker"]
    name: str
    target: str
    state: Literal["serving", "not serving", "unreachable"] = "unreachable"
    fault: str = "not probed yet"
    generation: str = ""
    model: str = ""
    videos: int = 0
    segments: int = 0
    bytes_resident: int = 0
    late: bool = False


class Monitor:
    """The state of every worker of one generation.

    down: why a worker's process has ended, by target, as the supervisor reports.
    """

    def __init__(
        self,
        collection: Collection,
        retriever: Retriever,
        rankers: Rankers,
        down: Mapping[str, str] | None = None,
    ) -> None:
        self._collection, self._manifest = collection, collection.manifest
        self._down = {} if down is None else down
        self._probes: list[Callable[[], Awaitable[WorkerState]]] = []
        for shard in retriever.shards:
            self._probes += [_bound(self._index, shard, shard.name, member) for member in shard.members]
        for i, member in enumerate(rankers.workers.members):
            self._probes.append(_bound(self._ranker, rankers.workers, f"ranker-{i}", member))
        self.workers: list[WorkerState] = []
        self.newest = collection.manifest.id
        self._late_since: dict[str, float] = {}

    @property
    def healthy(self) -> bool:
        """Whether a search can be answered: at least one shard serves, and one ranker, which also encodes."""
        return {"index", "ranker"} <= {worker.role for worker in self.workers if worker.state == "serving"}

    def silent(self) -> dict[str, float]:
        """Return how long probes of each late worker have timed out, in seconds by target."""
        now = time.monotonic()
        return {target: round(now - since, 1) for target, since in self._late_since.items()}

    async def run(
        self, on_change: Callable[[bool], Awaitable[None]], on_look: Callable[[], None] = lambda: None
    ) -> None:
        """Probe every INTERVAL until cancelled; call `on_change` when `healthy` changes."""
        known: bool | None = None
        while True:
            await self.look()
            if self.healthy != known:
                known = self.healthy
                await on_change(known)
            on_look()
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Probe every worker once, and look for a newer generation."""
        before = {(worker.name, worker.target): worker.state for worker in self.workers}
        self.workers = list(await asyncio.gather(*(probe() for probe in self._probes)))
        for worker in self.workers:
            if before.get((worker.name, worker.target)) != worker.state:
                _log.info(
                    "%s at %s is %s", worker.name, worker.target, worker.state, extra={"why": worker.fault}
                )
        now = time.monotonic()
        late = [worker.target for worker in self.workers if worker.late]
        self._late_since = {target: self._late_since.get(target, now) for target in late}
        self._look_for_newer()

    def _look_for_newer(self) -> None:
        found = newest(self._collection) or self._manifest.id
        if found != self.newest and found != self._manifest.id:
            _log.warning(
                "generation %s is current on disk, %s is served; restart the service to serve it",
                found,
                self._manifest.id,
            )
        self.newest = found

    def _probed(self, replicas: Replicas[Any], member: Replica[Any], state: WorkerState) -> WorkerState:
        """Record a probe in the replica's health; return the state with its last error."""
        replicas.probed(member, state.fault)
        why = member.health.last_error
        return state if state.fault or not why else replace(state, fault=f"last error: {why}")

    def _unreachable(self, state: WorkerState, failure: grpc.aio.AioRpcError) -> WorkerState:
        late = failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return replace(state, fault=self._down.get(state.target) or _why(failure), late=late)

    async def _index(self, replicas: Replicas[Any], name: str, member: Replica[Any]) -> WorkerState:
        try:
            info = await member.stub.GetShardInfo(GetShardInfoRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as failure:
            return self._unreachable(WorkerState("index", name, member.target), failure)
        fault = self._fault(info.generation, info.embedding_model)
        if info.shard != name:
            fault = f"serves {info.shard}"
        elif info.quantizer_sha256 != self._manifest.quantizer_sha256:
            fault = "has another quantizer than the generation, so its scores do not compare"
        state = WorkerState(
            role="index",
            name=name,
            target=member.target,
            state="not serving" if fault else "serving",
            fault=fault,
            generation=info.generation,
            model=info.embedding_model,
            videos=info.videos,
            segments=info.segments,
            bytes_resident=info.bytes_resident,
        )
        return self._probed(replicas, member, state)

    async def _ranker(self, replicas: Replicas[Any], name: str, member: Replica[Any]) -> WorkerState:
        try:
            info = await member.stub.ranker.GetRankerInfo(GetRankerInfoRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as failure:
            return self._unreachable(WorkerState("ranker", name, member.target), failure)
        fault = self._fault(info.generation, info.embedding_model)
        state = WorkerState(
            role="ranker",
            name=name,
            target=member.target,
            state="not serving" if fault else "serving",
            fault=fault,
            generation=info.generation,
            model=info.ranker_model,
            videos=info.videos,
            bytes_resident=info.bytes_resident,
        )
        return self._probed(replicas, member, state)

    def _fault(self, generation: str, embedding_model: str) -> str:
        if generation != self._manifest.id:
            return f"serves generation {generation}, this is {self._manifest.id}"
        if embedding_model != self._manifest.embedding_model:
            return f"uses model {embedding_model}, the generation needs {self._manifest.embedding_model}"
        return ""


def _bound(
    probe: Callable[[Replicas[Any], str, Replica[Any]], Awaitable[WorkerState]],
    replicas: Replicas[Any],
    name: str,
    member: Replica[Any],
) -> Callable[[], Awaitable[WorkerState]]:
    return lambda: probe(replicas, name, member)


def _why(failure: grpc.aio.AioRpcError) -> str:
    if failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"did not answer within {PATIENCE:g} s"
    return failure.details() or failure.code().name
