"""Searches of a failing engine: whole answers within a timeout, and the time they took."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import request
from tests.engine.oracle import Cluster
from tests.engine.running import coordinator

TIMEOUT = types_pb2.DEGRADED_REASON_SHARD_TIMEOUT
UNAVAILABLE = types_pb2.DEGRADED_REASON_SHARD_UNAVAILABLE
SKIPPED = types_pb2.DEGRADED_REASON_RANKER_SKIPPED


def search(stub: Any, timeout: float | None = 10.0, **fields: Any) -> Awaitable[pb.SearchResponse]:
    answer: Awaitable[pb.SearchResponse] = stub.Search(request(page_size=100, **fields), timeout=timeout)
    return answer


def timed(workers: Cluster, question: Callable[[Any], Awaitable[pb.SearchResponse]]) -> tuple[Any, float]:
    """Return the answer and the seconds it took, the coordinator's start not counted."""

    async def run() -> tuple[Any, float]:
        async with coordinator(workers) as (stub, _):
            began = time.monotonic()
            return await question(stub), time.monotonic() - began

    return asyncio.run(run())
