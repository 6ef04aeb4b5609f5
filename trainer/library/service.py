"""LibraryService: takes jobs, tells what became of them, and which versions are current."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import grpc

from engine import versions
from engine.errors import InvalidInput, NotFound, quoted
from engine.protocol import PROTOCOL
from spr.internal.v1 import library_service_pb2 as pb
from spr.internal.v1 import library_service_pb2_grpc
from spr.v1 import feedback_service_pb2 as feedback_pb
from spr.v1.admin_service_pb2 import SubmitJobRequest
from trainer.library import judgements
from trainer.library.jobs import Queue
from trainer.library.judgements import Judgements
from trainer.library.roots import Roots
from workers.resident import resident_bytes

SERVICE = pb.DESCRIPTOR.services_by_name["LibraryService"].full_name
LOOK = 0.05  # seconds between looks at CURRENT
MOST_LISTED, LISTED = 1000, 100


class LibraryServicer(library_service_pb2_grpc.LibraryServiceServicer):
    """LibraryService over the queues, by name of their collection; the first is that of ""."""

    def __init__(self, queues: Mapping[str, Queue], on_submit: Callable[[], None], roots: Roots) -> None:
        self._queues, self._on_submit, self._roots = dict(queues), on_submit, roots
        self._judgements: dict[str, Judgements] = {}
        self._opening = threading.Lock()

    def Submit(self, request: pb.SubmitRequest, context: grpc.ServicerContext) -> pb.SubmitResponse:
        """Note a job, durably."""
        _check(request.job, self._roots)
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

    def RecordJudgements(
        self, request: pb.RecordJudgementsRequest, context: grpc.ServicerContext
    ) -> pb.RecordJudgementsResponse:
        """Keep judgements, durably."""
        kept = self._judged(request.asked.collection).record(request.asked.judgements)
        return pb.RecordJudgementsResponse(answer=feedback_pb.RecordJudgementsResponse(judgements=kept))

    def ListJudgements(
        self, request: pb.ListJudgementsRequest, context: grpc.ServicerContext
    ) -> pb.ListJudgementsResponse:
        """Return a page of judgements, newest first."""
        asked = request.asked
        before = judgements.before(asked.page_token)
        size = min(asked.page_size or judgements.PAGE, judgements.LARGEST_PAGE)
        found, rest = self._judged(asked.collection).listed(asked.query, asked.video_id, before, size)
        answer = feedback_pb.ListJudgementsResponse(judgements=found, next_page_token=str(rest or ""))
        return pb.ListJudgementsResponse(answer=answer)

    def DeleteJudgements(
        self, request: pb.DeleteJudgementsRequest, context: grpc.ServicerContext
    ) -> pb.DeleteJudgementsResponse:
        """Forget judgements, durably."""
        deleted = self._judged(request.asked.collection).delete(request.asked.ids)
        return pb.DeleteJudgementsResponse(answer=feedback_pb.DeleteJudgementsResponse(deleted=deleted))

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

    def _judged(self, name: str) -> Judgements:
        queue = self._queue(name)
        with self._opening:
            if queue.name not in self._judgements:
                self._judgements[queue.name] = Judgements(queue.collection)
            return self._judgements[queue.name]

    def _queue(self, name: str) -> Queue:
        queue = self._queues.get(name) if name else next(iter(self._queues.values()))
        if queue is None:
            there = ", ".join(map(quoted, self._queues))
            message = f"there is no collection {quoted(name)}; there are: {there}."
            raise NotFound(message, "COLLECTION_NOT_FOUND")
        return queue


def _check(job: SubmitJobRequest, roots: Roots) -> None:
    """Refuse (InvalidInput, PermissionDenied) what can be refused before it is queued."""
    kind = job.WhichOneof("work")
    if kind is None:
        raise InvalidInput("a job names no work: add, delete, compact ...", field="work")
    if kind == "add":
        if not job.add.paths:
            raise InvalidInput("add.paths names no file or folder.", field="add.paths")
        for number, path in enumerate(job.add.paths):
            _check_path(path, f"add.paths[{number}]", "file or folder, or a URL", roots)
    if kind == "delete" and not job.delete.video_ids:
        raise InvalidInput("delete.video_ids names no video.", field="delete.video_ids")
    if kind == "snapshot":
        _check_path(job.snapshot.destination, "snapshot.destination", "directory or a URL", roots)
    if kind == "restore":
        _check_path(job.restore.source, "restore.source", "directory or a URL", roots)


def _check_path(path: str, field: str, what: str, roots: Roots) -> None:
    """Refuse (InvalidInput) what is no absolute path below the roots: the caller's folder is not ours."""
    absolute = Path(path).is_absolute() or (what.endswith("URL") and "://" in path)
    if not absolute or "\0" in path:
        message = f"{field} is {quoted(path)}: write the absolute path of a {what}."
        raise InvalidInput(message, field=field)
    roots.check(field, path)
