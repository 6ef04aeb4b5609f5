"""Is the path to an answer open? Asks every worker once a second what it is and what it serves."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import grpc.aio

from engine.collection import Collection
from engine.ranking import Rankers
from engine.replicas import Replica
from engine.retrieval import Retriever
from spr.internal.v1.index_shard_service_pb2 import GetShardInfoRequest
from spr.internal.v1.ranker_service_pb2 import GetRankerInfoRequest

_log = logging.getLogger("spr.monitor")
INTERVAL = 1.0
PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What one worker last said of itself. fault: why it does not serve this generation, else empty.

    state: "serving"; "not serving", it answers but serves something else; "unreachable".
    """

    role: Literal["index", "ranker"]
    name: str
    target: str
    state: Literal["serving", "not serving", "unreachable"] = "unreachable"
    fault: str = "not asked yet"
    generation: str = ""
    model: str = ""
    videos: int = 0
    segments: int = 0
    bytes_resident: int = 0


class Monitor:
    """The state of every worker of one generation."""

    def __init__(self, collection: Collection, retriever: Retriever, rankers: Rankers) -> None:
        self._manifest = collection.manifest
        self._probes: list[Callable[[], Awaitable[WorkerState]]] = []
        for shard in retriever.shards:
            self._probes += [_bound(self._index, shard.name, member) for member in shard.members]
        for i, member in enumerate(rankers.rankers.members):
            self._probes.append(_bound(self._ranker, f"ranker-{i}", member))
        self.workers: list[WorkerState] = []

    @property
    def healthy(self) -> bool:
        """Whether a search can be answered: at least one shard and one ranker, which encodes, serve."""
        return {"index", "ranker"} <= {worker.role for worker in self.workers if worker.state == "serving"}

    async def run(self, on_change: Callable[[bool], Awaitable[None]]) -> None:
        """Look again and again until cancelled; tell `on_change` whether searches can be answered."""
        known: bool | None = None
        while True:
            await self.look()
            if self.healthy != known:
                known = self.healthy
                await on_change(known)
            await asyncio.sleep(INTERVAL)

    async def look(self) -> None:
        """Ask every worker once."""
        before = {(worker.name, worker.target): worker.state for worker in self.workers}
        self.workers = list(await asyncio.gather(*(probe() for probe in self._probes)))
        for worker in self.workers:
            if before.get((worker.name, worker.target)) != worker.state:
                _log.info(
                    "%s at %s is %s", worker.name, worker.target, worker.state, extra={"why": worker.fault}
                )

    async def _index(self, name: str, member: Replica[Any]) -> WorkerState:
        try:
            info = await member.stub.GetShardInfo(GetShardInfoRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as failure:
            return WorkerState("index", name, member.target, fault=_why(failure))
        fault = self._fault(info.generation, info.embedding_model)
        if info.shard != name:
            fault = f"serves {info.shard}"
        elif info.quantizer_sha256 != self._manifest.quantizer_sha256:
            fault = "has another quantizer than the generation, so its scores do not compare"
        return WorkerState(
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

    async def _ranker(self, name: str, member: Replica[Any]) -> WorkerState:
        try:
            info = await member.stub.GetRankerInfo(GetRankerInfoRequest(), timeout=PATIENCE)
        except grpc.aio.AioRpcError as failure:
            return WorkerState("ranker", name, member.target, fault=_why(failure))
        fault = self._fault(info.generation, info.embedding_model)
        return WorkerState(
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

    def _fault(self, generation: str, embedding_model: str) -> str:
        if generation != self._manifest.id:
            return f"serves generation {generation}, this is {self._manifest.id}"
        if embedding_model != self._manifest.embedding_model:
            return f"uses model {embedding_model}, the generation needs {self._manifest.embedding_model}"
        return ""


def _bound(
    probe: Callable[[str, Replica[Any]], Awaitable[WorkerState]], name: str, member: Replica[Any]
) -> Callable[[], Awaitable[WorkerState]]:
    return lambda: probe(name, member)


def _why(failure: grpc.aio.AioRpcError) -> str:
    if failure.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
        return f"did not answer within {PATIENCE:g} s"
    return failure.details() or failure.code().name
