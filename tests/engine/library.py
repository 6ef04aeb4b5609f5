"""A library process whose jobs are done by the test."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import grpc.aio

from engine.config import LibraryConfig
from engine.errors import Overloaded
from engine.protocol import PROTOCOL
from spr.internal.v1 import library_service_pb2 as library_pb
from spr.internal.v1 import library_service_pb2_grpc
from spr.v1.admin_service_pb2 import Job
from tests.engine.oracle import Cluster
from tests.engine.server import Server


class LibraryOracle(library_service_pb2_grpc.LibraryServiceServicer):
    """A library whose jobs the test does itself. changed: set when a version became current."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []
        self.full = False
        self.protocol = PROTOCOL
        self.changed = threading.Event()

    def Submit(self, request: Any, context: Any) -> library_pb.SubmitResponse:
        if self.full:
            raise Overloaded("3 jobs wait, which is the limit; try again")
        kind = request.job.WhichOneof("work")
        job = Job(
            request_id=request.job.request_id or "made",
            collection=request.job.collection,
            kind=kind,
            state=Job.STATE_QUEUED,
        )
        self.jobs.insert(0, job)
        return library_pb.SubmitResponse(job=job)

    def List(self, request: Any, context: Any) -> library_pb.ListResponse:
        wanted = request.jobs.request_id
        return library_pb.ListResponse(jobs=[job for job in self.jobs if wanted in ("", job.request_id)])

    # Judgements go to the real library, in tests of feedback.
    def RecordJudgements(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    def ListJudgements(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    def DeleteJudgements(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    def GetLibraryInfo(self, request: Any, context: Any) -> library_pb.GetLibraryInfoResponse:
        waiting = sum(job.state == Job.STATE_QUEUED for job in self.jobs)
        return library_pb.GetLibraryInfoResponse(protocol=self.protocol, jobs_waiting=waiting)

    async def WatchCurrent(self, request: Any, context: Any) -> Any:
        yield library_pb.WatchCurrentResponse()
        while True:
            while not self.changed.is_set():
                await asyncio.sleep(0.005)
            self.changed.clear()
            yield library_pb.WatchCurrentResponse()


@contextmanager
def with_library(workers: Cluster) -> Iterator[LibraryOracle]:
    library = LibraryOracle()
    serve(workers, library)
    yield library


def serve(workers: Cluster, library: library_service_pb2_grpc.LibraryServiceServicer) -> None:
    """Let a library be that of the topology, until the cluster ends."""

    def add(server: grpc.aio.Server) -> None:
        library_service_pb2_grpc.add_LibraryServiceServicer_to_server(library, server)

    server = Server(add)
    workers.topology = replace(workers.topology, library=LibraryConfig(listen=server.address))
    workers.servers[server.address] = server
