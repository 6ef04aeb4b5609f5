"""Connections that nobody uses are closed, and there is room for many."""

import asyncio
import resource
from collections.abc import Iterator
from typing import Any

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine import connections, servers
from engine.admission import Admission
from engine.connections import Limits

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # and empty settings


@pytest.mark.parametrize("sent", [b"", PREFACE[:10], PREFACE], ids=["nothing", "half a preface", "no call"])
def test_a_connection_without_calls_is_closed(sent: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PUBLIC", Limits(handshake=0.2, idle=0.2))

    async def run() -> None:
        server = servers.aio_server(Admission(1), shared=True)
        host, _, port = servers.bind(server, "127.0.0.1:0").rpartition(":")
        await server.start()
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(sent)
        async with asyncio.timeout(30):
            await reader.read()  # until it is closed
        writer.close()
        await server.stop(None)

    asyncio.run(run())


def test_a_call_that_is_never_sent_ends_with_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PUBLIC", Limits(age=0.2, grace=0.2))

    async def run() -> None:
        server = servers.aio_server(Admission(1), shared=True)
        servers.add_probes(server, [])
        address = servers.bind(server, "127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(address) as channel:
            call: Any = channel.stream_unary("/grpc.health.v1.Health/Check")()
            with pytest.raises(grpc.aio.AioRpcError):
                async with asyncio.timeout(30):
                    await call
            # The next call opens another connection.
            await _check(channel, [])
        await server.stop(None)

    asyncio.run(run())


@pytest.fixture
def few_files() -> Iterator[int]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    yield before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_process_may_open_as_many_files_as_the_system_lets_it(few_files: int) -> None:
    connections.raise_file_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == min(few_files, connections.MOST_FILES)


def test_one_connection_has_a_bounded_number_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PUBLIC", Limits(calls=2))
    begun: list[str] = []

    async def run() -> None:
        server = servers.aio_server(Admission(1), shared=True)
        servers.add_probes(server, [])
        address = servers.bind(server, "127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = health_pb2_grpc.HealthStub(channel)
            watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
            for watch in watches:
                async with asyncio.timeout(30):
                    await watch.read()
            third = asyncio.create_task(_check(channel, begun))
            # Another connection has room: its answer comes, the third call's does not.
            async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as other:
                await _check(other, [])
            assert begun == []
            watches[0].cancel()
            async with asyncio.timeout(30):
                await third
        await server.stop(None)

    asyncio.run(run())
    assert begun == ["answered"]


async def _check(channel: grpc.aio.Channel, told: list[str]) -> None:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    await stub.Check(health_pb2.HealthCheckRequest(), timeout=30)
    told.append("answered")
