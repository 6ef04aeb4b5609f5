"""The operator's service, on its own port."""

import time
from datetime import datetime

import grpc.aio

from engine import wire
from engine.collection import Collection
from engine.monitor import Monitor, WorkerState
from engine.servicer import Statistics
from spr.v1 import admin_service_pb2 as admin_pb
from spr.v1 import admin_service_pb2_grpc

_ROLES = {"index": admin_pb.Worker.ROLE_INDEX, "ranker": admin_pb.Worker.ROLE_RANKER}
_STATES = {
    "serving": admin_pb.Worker.STATE_SERVING,
    "not serving": admin_pb.Worker.STATE_NOT_SERVING,
    "unreachable": admin_pb.Worker.STATE_UNREACHABLE,
}


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """spr.v1.AdminService: what is served, by whom, and how it went."""

    def __init__(self, collection: Collection, monitor: Monitor, statistics: Statistics) -> None:
        self._collection = collection
        self._monitor = monitor
        self._statistics = statistics
        self._began = time.monotonic()

    async def GetStatus(
        self,
        request: admin_pb.GetStatusRequest,
        context: "grpc.aio.ServicerContext[object, object]",
    ) -> admin_pb.GetStatusResponse:
        """Ask every worker anew and return the state of all."""
        await self._monitor.look()
        return admin_pb.GetStatusResponse(
            collection=self._describe(),
            workers=[_worker_to_pb(worker) for worker in self._monitor.workers],
            uptime=wire.duration_to_pb(time.monotonic() - self._began),
            searches_answered=self._statistics.answered,
            searches_failed=self._statistics.failed,
            searches_degraded=self._statistics.degraded,
        )

    def _describe(self) -> admin_pb.Collection:
        manifest = self._collection.manifest
        rankers = [
            worker.model for worker in self._monitor.workers if worker.role == "ranker" and worker.model
        ]
        described = admin_pb.Collection(
            name=manifest.collection,
            generation=manifest.id,
            embedding_model=manifest.embedding_model,
            ranker_model=rankers[0] if rankers else "",
            videos=manifest.videos,
            segments=manifest.segments,
            segment_length=wire.duration_to_pb(manifest.segment_length),
            shard_count=len(manifest.shards),
            index_factory=manifest.factory,
            newest_generation=self._monitor.newest,
        )
        described.create_time.FromDatetime(datetime.fromisoformat(manifest.created))
        return described


def _worker_to_pb(worker: WorkerState) -> admin_pb.Worker:
    return admin_pb.Worker(
        role=_ROLES[worker.role],
        name=worker.name,
        target=worker.target,
        state=_STATES[worker.state],
        generation=worker.generation,
        videos=worker.videos,
        segments=worker.segments,
        bytes_resident=worker.bytes_resident,
        last_error=worker.fault,
    )
