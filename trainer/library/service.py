"""LibraryService: takes jobs, tells what became of them, and which versions are current."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc

from engine import versions
from engine.errors import InvalidInput, NotFound, quoted
from engine.protocol import PROTOCOL
from spr.internal.v1 import library_service_pb2 as pb
from spr.internal.v1 import library_service_pb2_grpc
from spr.v1.admin_service_pb2 import SubmitJobRequest
from trainer.library.jobs import Queue
from trainer.library.roots import Roots
from workers.resident import resident_bytes

SERVICE = pb.DESCRIPTOR.services_by_name["LibraryService"].full_name
LOOK = 0.05  # seconds between looks at CURRENT
MOST_LISTED, LISTED = 1000, 100


class LibraryServicer(library_service_pb2_grpc.LibraryServiceServicer):
    """LibraryService over the queues, by name of their collection; the first is that of ""."""

    def __init__(
        self, queues: Mapping[str, Queue], on_submit: Callable[[], None], roots: Sequence[str] = ()
    ) -> None:
        """Take jobs that name files below `roots`."""
        self._queues, self._on_submit, self._roots = dict(queues), on_submit, Roots(roots)

    def Submit(self, request: pb.SubmitRequest, context: grpc.ServicerContext) -> pb.SubmitResponse:
        """Note a job, durably."""
        _check(request.job)
        for field, place in _named(request.job):
            self._roots.check(place, field)
        job = self._queue(request.job.collection).submit(request.job)
        self._on_submit()
        return pb.SubmitResponse(job=job)

    def List(self, request: pb.ListRequest, context: grpc.ServicerContext) -> pb.ListResponse:
        """Return jobs, newest first."""
        asked = request.jobs
        if asked.page_size > MOST_LISTED:
            raise InvalidInput(f"page_size {asked.page_size} is above {MOST_LISTED}.", field="page_size")
        queue = self._queue(asked.collection)
        return pb.ListResponse(jobs=queue.jobs(asked.request_id, asked.page_size or LISTED))

    async def GetLibraryInfo(
        self, request: pb.GetLibraryInfoRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.GetLibraryInfoResponse:
        """Say how the process does."""
        waiting = sum(queue.waiting() for queue in self._queues.values())
        return pb.GetLibraryInfoResponse(
            protocol=PROTOCOL, bytes_resident=resident_bytes(), jobs_waiting=waiting
        )

    async def WatchCurrent(
        self, request: pb.WatchCurrentRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[pb.WatchCurrentResponse]:
        """Yield the current versions now, and each that becomes current, until the caller leaves."""
        wanted = [self._queue(request.collection)] if request.collection else list(self._queues.values())
        told: dict[Path, str] = {}
        while True:
            for queue in wanted:
                # A file of 25 bytes, so it is read here: whoever changed it is noticed.
                version = versions.newest(queue.collection)
                if version and told.get(queue.collection) != version:
                    told[queue.collection] = version
                    yield pb.WatchCurrentResponse(collection=queue.name, version=version)
            await asyncio.sleep(LOOK)

    def _queue(self, name: str) -> Queue:
        queue = self._queues.get(name) if name else next(iter(self._queues.values()))
        if queue is None:
            there = ", ".join(map(quoted, self._queues))
            message = f"there is no collection {quoted(name)}; there are: {there}."
            raise NotFound(message, "COLLECTION_NOT_FOUND")
        return queue


def _check(job: SubmitJobRequest) -> None:
    """Refuse (InvalidInput) what can be refused before it is queued."""
    kind = job.WhichOneof("work")
    if kind is None:
        raise InvalidInput("a job names no work: add, delete, compact ...", field="work")
    if kind == "add":
        relative = [path for path in job.add.paths if not Path(path).is_absolute()]
        if not job.add.paths or relative:
            wrong = f"{quoted(relative[0])} is not absolute" if relative else "there is none"
            raise InvalidInput(
                f"add.paths wants absolute paths of files or folders: {wrong}.", field="add.paths"
            )
    if kind == "delete" and not job.delete.video_ids:
        raise InvalidInput("delete.video_ids names no video.", field="delete.video_ids")
    for field, place in _named(job):
        if not place:
            raise InvalidInput(f"{field} is empty: name a directory or a URL.", field=field)


def _named(job: SubmitJobRequest) -> list[tuple[str, str]]:
    """Return the paths and URLs that a job names, each with its field."""
    kind = job.WhichOneof("work")
    if kind == "add":
        return [("add.paths", path) for path in job.add.paths]
    if kind == "snapshot":
        return [("snapshot.destination", job.snapshot.destination)]
    return [("restore.source", job.restore.source)] if kind == "restore" else []
