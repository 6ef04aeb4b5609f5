"""The operator's service, on its own port."""

import asyncio
import time
from collections.abc import Sequence
from typing import TypeAlias

import grpc.aio

from engine import library as libraries
from engine import wire, wire_admin
from engine.discovery import Discovery
from engine.draining import Draining
from engine.errors import InvalidInput
from engine.library import Library
from engine.lineage import Lineage
from engine.monitor import Monitor
from engine.served import Collections
from engine.switching import Switcher
from spr.v1 import admin_service_pb2 as admin_pb
from spr.v1 import admin_service_pb2_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[object, object]"
MOST_JOBS = 1000


class AdminServicer(admin_service_pb2_grpc.AdminServiceServicer):
    """spr.v1.AdminService: what is served, by whom, and how it went; versions, and the library's jobs."""

    def __init__(
        self,
        collections: Collections,
        switchers: Sequence[Switcher],
        monitor: Monitor,
        draining: Draining,
        library: Library | None,
        discovery: Discovery,
    ) -> None:
        self._collections = collections
        self._switchers = {switcher.collection: switcher for switcher in switchers}
        self._monitor, self._draining = monitor, draining
        self._library, self._discovery = library, discovery
        self._lineages = {one: Lineage(one.directory) for one in collections.all}
        self._began = time.monotonic()

    async def GetStatus(
        self, request: admin_pb.GetStatusRequest, context: Context
    ) -> admin_pb.GetStatusResponse:
        """Ask every worker anew and return the state of all."""
        collection = self._collections.named(request.collection)
        await self._monitor.look()
        workers, statistics = self._monitor.workers, collection.statistics
        return admin_pb.GetStatusResponse(
            collection=wire_admin.collection_to_pb(collection, workers),
            workers=[wire_admin.worker_to_pb(worker, collection) for worker in workers],
            uptime=wire.duration_to_pb(time.monotonic() - self._began),
            searches_answered=statistics.answered,
            searches_failed=statistics.failed,
            searches_degraded=statistics.degraded,
            topology_faults=self._discovery.faults,
            searches=wire_admin.recent_to_pb(statistics.recent),
        )

    async def DrainWorker(
        self, request: admin_pb.DrainWorkerRequest, context: Context
    ) -> admin_pb.DrainWorkerResponse:
        """Have a worker answer no new searches, or end that."""
        worker = await self._draining.drain(request.worker, request.undo, request.force)
        message = wire_admin.worker_to_pb(worker, self._collections.first)
        return admin_pb.DrainWorkerResponse(worker=message)

    async def ListCollections(
        self, request: admin_pb.ListCollectionsRequest, context: Context
    ) -> admin_pb.ListCollectionsResponse:
        """Return all collections, the first one first."""
        workers = self._monitor.workers
        described = [wire_admin.collection_to_pb(one, workers) for one in self._collections.all]
        return admin_pb.ListCollectionsResponse(collections=described)

    async def ListVersions(
        self, request: admin_pb.ListVersionsRequest, context: Context
    ) -> admin_pb.ListVersionsResponse:
        """Return all versions of a collection on disk, newest first."""
        collection = self._collections.named(request.collection)
        found = await asyncio.to_thread(wire_admin.versions_to_pb, collection.directory, collection.active_id)
        return admin_pb.ListVersionsResponse(versions=found)

    async def ActivateVersion(
        self, request: admin_pb.ActivateVersionRequest, context: Context
    ) -> admin_pb.ActivateVersionResponse:
        """Prepare a version, and switch new queries to it unless it is to be prepared only."""
        switcher = self._switchers[self._collections.named(request.collection)]
        began = time.monotonic()
        if request.roll_back and (request.version or request.prepare_only):
            message = "roll_back activates the parent of the active version; send it alone"
            raise InvalidInput(message, field="roll_back")
        if request.prepare_only:
            done = await switcher.prepare(request.version)
        else:
            done = await switcher.activate(request.version, request.roll_back)
        return admin_pb.ActivateVersionResponse(
            version=done.version,
            previous=done.previous,
            elapsed=wire.duration_to_pb(time.monotonic() - began),
            left_out=[
                admin_pb.LeftOut(worker=one.worker, target=one.target, why=one.why) for one in done.left_out
            ],
        )

    async def SubmitJob(
        self, request: admin_pb.SubmitJobRequest, context: Context
    ) -> admin_pb.SubmitJobResponse:
        """Hand a job to the library process."""
        library = self._needed()
        request.collection = self._collections.named(request.collection).name
        if request.WhichOneof("work") is None:
            message = "the job says no work; set one of add, delete, compact, snapshot, restore, verify"
            raise InvalidInput(f"{message}, collect_garbage", field="work")
        (job,) = await self._searchable([await library.submit(request)])
        return admin_pb.SubmitJobResponse(job=job)

    async def ListJobs(
        self, request: admin_pb.ListJobsRequest, context: Context
    ) -> admin_pb.ListJobsResponse:
        """Return jobs of the library process, newest first."""
        library = self._needed()
        request.collection = self._collections.named(request.collection).name
        if request.page_size > MOST_JOBS:
            message = f"page_size is {request.page_size}; ask for {MOST_JOBS} jobs at most"
            raise InvalidInput(message, field="page_size")
        return admin_pb.ListJobsResponse(jobs=await self._searchable(await library.jobs(request)))

    async def _searchable(self, jobs: list[admin_pb.Job]) -> list[admin_pb.Job]:
        """Set of each job whether searches are answered from a version that has what it did, or why not."""
        for job in jobs:
            for collection, lineage in self._lineages.items():
                done = job.state == admin_pb.Job.STATE_DONE and job.version != ""
                if done and job.collection == collection.name:
                    active = collection.active_id
                    job.searchable = await asyncio.to_thread(lineage.includes, active, job.version)
                    if not job.searchable and collection.fault and collection.newest == job.version:
                        job.warnings.append(f"not searched: {collection.fault}")
        return jobs

    def _needed(self) -> Library:
        if self._library is None:
            raise libraries.missing()
        return self._library
