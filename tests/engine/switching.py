"""What tests of switching share: an operator, and waiting for what the coordinator does by itself."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import grpc.aio
import pytest

from engine.coordinator import Coordinator
from engine.faults import reason_of
from spr.v1 import admin_service_pb2 as admin_pb
from spr.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.engine.oracle import Cluster
from tests.engine.running import coordinator

if TYPE_CHECKING:
    from spr.v1.admin_service_pb2_grpc import AdminServiceAsyncStub

LONGEST = 60.0


@asynccontextmanager
async def operated(
    workers: Cluster,
) -> AsyncIterator[tuple[Any, "AdminServiceAsyncStub", Coordinator]]:
    """Yield searches, the operator's service and the coordinator itself, once all is healthy."""
    async with (
        coordinator(workers) as (stub, running),
        grpc.aio.insecure_channel(running.admin_address) as channel,
    ):
        yield stub, AdminServiceStub(channel), running


async def until(holds: Callable[[], Any]) -> None:
    """Wait until something holds."""
    ends = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < ends, "it never came to be"
        await asyncio.sleep(0.01)


async def activated(admin: Any, version: str = "", **fields: Any) -> admin_pb.ActivateVersionResponse:
    answer: admin_pb.ActivateVersionResponse = await admin.ActivateVersion(
        admin_pb.ActivateVersionRequest(version=version, **fields), timeout=LONGEST
    )
    return answer


async def failed(call: Any) -> tuple[str, str, str]:
    """Return (status code, reason, message) of a call that must fail."""
    with pytest.raises(grpc.RpcError) as failure:
        await call
    error: Any = failure.value
    return error.code().name, reason_of(error), error.details()


async def status(admin: Any, **fields: Any) -> admin_pb.GetStatusResponse:
    answer: admin_pb.GetStatusResponse = await admin.GetStatus(admin_pb.GetStatusRequest(**fields))
    return answer
