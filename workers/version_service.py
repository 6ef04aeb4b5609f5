"""VersionService: prepares and drops the versions that a worker holds."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc.aio

from engine import wire
from engine.admission import Admission
from spr.internal.v1 import version_service_pb2 as pb
from spr.internal.v1 import version_service_pb2_grpc
from workers.versions import Held

SERVICE = pb.DESCRIPTOR.services_by_name["VersionService"].full_name
_WAITING = 16  # calls of the service at once: one works, the others wait


class VersionServicer(version_service_pb2_grpc.VersionServiceServicer):
    """VersionService over what a worker holds: one call at a time, in a thread of its own."""

    def __init__(self, held: Held[Any]) -> None:
        self._held = held
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


def add_version_service(server: grpc.aio.Server, held: Held[Any]) -> str:
    """Register VersionService; return its name."""
    version_service_pb2_grpc.add_VersionServiceServicer_to_server(VersionServicer(held), server)
    return SERVICE


def admissions() -> dict[str, Admission]:
    """Return the admission of VersionService's methods, apart from that of searches."""
    return {f"/{SERVICE}/{name}": Admission(_WAITING) for name in ("PrepareVersion", "DropVersion")}
