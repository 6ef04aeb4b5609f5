"""The Python client asks again where a coordinator ended its call."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import grpc.aio
import pytest

import spr_client
from engine import errors, faults
from spr.v1 import search_service_pb2, search_service_pb2_grpc
from spr_client import AsyncClient, Client
from tests.engine.asking import TEXT


class Ends(search_service_pb2_grpc.SearchServiceServicer):
    """Ends the first call as a coordinator does that stops, or as one that refuses; answers the next ones."""

    def __init__(self, code: grpc.StatusCode, refuses: bool) -> None:
        self.code, self.refuses, self.calls = code, refuses, 0

    def Search(self, request: Any, context: Any) -> search_service_pb2.SearchResponse:
        self.calls += 1
        if self.calls == 1 and self.refuses:
            context.abort_with_status(
                faults.grpc_status(errors.Unavailable("no shard answered", "NO_SHARDS"))
            )
        if self.calls == 1:
            context.abort(self.code, "")
        return search_service_pb2.SearchResponse()


@contextmanager
def ending(code: grpc.StatusCode, refuses: bool = False) -> Iterator[tuple[Ends, str]]:
    server, servicer = grpc.server(ThreadPoolExecutor(2)), Ends(code, refuses)  # type: ignore[abstract]
    search_service_pb2_grpc.add_SearchServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield servicer, f"127.0.0.1:{port}"
    server.stop(None).wait()


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE])
def test_a_call_that_a_stopping_coordinator_ends_is_asked_again(code: grpc.StatusCode) -> None:
    with ending(code) as (server, address), Client(address) as client:
        client.search(TEXT)
    assert server.calls == 2

    async def search(address: str) -> None:
        async with AsyncClient(address) as client:
            await client.search(TEXT)

    with ending(code) as (server, address):
        asyncio.run(search(address))
    assert server.calls == 2


def test_what_a_coordinator_refuses_is_told_at_once() -> None:
    with ending(grpc.StatusCode.UNAVAILABLE, refuses=True) as (server, address), Client(address) as client:
        with pytest.raises(spr_client.Unavailable, match="no shard answered"):
            client.search(TEXT)
    assert server.calls == 1
