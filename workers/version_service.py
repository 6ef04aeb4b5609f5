"""VersionService: prepares and drops the versions that a worker holds."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc.aio

from engine import wire
from engine.admission import Admission
from spr.internal.v1 import version_service_pb2 as pb
from spr.internal.v1 import version_service_pb2_grpc
from workers.duty import Duty
from workers.versions import Held

_log = logging.getLogger("spr.versions")
SERVICE = pb.DESCRIPTOR.services_by_name["VersionService"].full_name
_WAITING = 16  # calls of a method at once: of VersionService one works, the others wait


class VersionServicer(version_service_pb2_grpc.VersionServiceServicer):
    """VersionService over what a worker holds: one call at a time, in a thread of its own."""

    def __init__(self, held: Held[Any], duty: Duty) -> None:
        self._held, self._duty = held, duty
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="prepare")

    async def PrepareVersion(
        self, request: pb.PrepareVersionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.PrepareVersionResponse:
        """Open a version beside those that are held."""
        work = partial(self._held.prepare, request.collection, request.version)
        done = await asyncio.get_running_loop().run_in_executor(self._pool, work)
        elapsed = wire.duration_to_pb(done.elapsed)
        return pb.PrepareVersionResponse(elapsed=elapsed, parts_opened=done.opened, parts_shared=done.shared)

    async def DropVersion(
        self, request: pb.DropVersionRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.DropVersionResponse:
        """Close a version; one that is not held is none to close."""
        self._held.drop(request.version)
        return pb.DropVersionResponse()

    async def Drain(
        self, request: pb.DrainRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> pb.DrainResponse:
        """Refuse new searches and end those in flight, or take them again."""
        self._duty.drain(not request.undo)
        _log.info("taking searches again" if request.undo else "draining: no new searches are taken")
        return pb.DrainResponse(report=self._duty.report())


def add_version_service(server: grpc.aio.Server, held: Held[Any], duty: Duty) -> str:
    """Register VersionService; return its name."""
    version_service_pb2_grpc.add_VersionServiceServicer_to_server(VersionServicer(held, duty), server)
    return SERVICE


def admissions(*probes: str) -> dict[str, Admission]:
    """Return the admission of VersionService's methods and of probes ("/service/method").

    It is apart from that of searches: an overloaded worker is no dead one.
    """
    ours = [f"/{SERVICE}/{name}" for name in ("PrepareVersion", "DropVersion", "Drain")]
    return {method: Admission(_WAITING) for method in (*ours, *probes)}
