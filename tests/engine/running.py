"""A coordinator over oracle workers, in this process and its own event loop."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import grpc.aio
import pytest

from engine.collection import open_collection
from engine.coordinator import Coordinator
from engine.faults import reason_of
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from tests.engine.oracle import Cluster

if TYPE_CHECKING:
    from spr.v1.search_service_pb2_grpc import SearchServiceAsyncStub

Result = TypeVar("Result")


@asynccontextmanager
async def coordinator(cluster: Cluster) -> AsyncIterator[tuple["SearchServiceAsyncStub", Coordinator]]:
    running = Coordinator(cluster.topology, open_collection(cluster.topology))
    await running.start()
    try:
        async with grpc.aio.insecure_channel(running.address) as channel:
            yield SearchServiceStub(channel), running
    finally:
        await running.stop(grace=0.0)


def ask(cluster: Cluster, question: Callable[["SearchServiceAsyncStub"], Awaitable[Result]]) -> Result:
    """Return what `question(stub)` brings from a fresh coordinator."""

    async def run() -> Result:
        async with coordinator(cluster) as (stub, _):
            return await question(stub)

    return asyncio.run(run())


def refused(
    cluster: Cluster, question: Callable[["SearchServiceAsyncStub"], Awaitable[Any]]
) -> tuple[str, str, str]:
    """Return (status code, reason, message) of a call that must fail."""
    with pytest.raises(grpc.RpcError) as failure:
        ask(cluster, question)
    error: Any = failure.value
    return error.code().name, reason_of(error), error.details()
