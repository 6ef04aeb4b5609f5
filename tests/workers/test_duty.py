"""What a worker says of its calls, and that probes pass where searches are refused."""

import asyncio

import grpc
import grpc.aio
import pytest

from engine import servers
from engine.admission import Admission
from engine.errors import Unavailable
from engine.protocol import PROTOCOL
from spr.internal.v1 import index_shard_service_pb2 as pb
from spr.internal.v1.index_shard_service_pb2_grpc import (
    IndexShardServiceStub,
    add_IndexShardServiceServicer_to_server,
)
from workers.duty import Duty
from workers.index.__main__ import SERVICE
from workers.index.servicer import IndexShardServicer
from workers.index.shard import ShardOpener
from workers.version_service import admissions
from workers.versions import Held


def test_calls_in_flight_are_counted_and_new_ones_refused_while_it_drains() -> None:
    duty = Duty(lambda in_flight: in_flight // 2)
    with duty, duty:
        duty.drain(True)
        with pytest.raises(Unavailable, match="this worker drains"), duty:
            raise AssertionError("it was let in")
        report = duty.report()
        assert (report.draining, report.calls_in_flight, report.calls_waiting) == (True, 2, 1)
    assert duty.report().calls_in_flight == 0
    duty.drain(False)
    with duty:
        assert not duty.report().draining


def test_a_worker_without_a_free_place_or_thread_answers_its_probe() -> None:
    async def run() -> None:
        server = servers.aio_server(Admission(0), None, "", admissions(f"/{SERVICE}/GetShardInfo"))
        held = Held([], ShardOpener("shard-00000", "cpu"))
        servicer = IndexShardServicer(held, "shard-00000", "cpu", Duty())
        add_IndexShardServiceServicer_to_server(servicer, server)
        address = servers.bind(server, "127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(address) as channel:
            stub = IndexShardServiceStub(channel)
            with pytest.raises(grpc.RpcError) as refused:
                await stub.SearchSegments(pb.SearchSegmentsRequest())
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            info = await stub.GetShardInfo(pb.GetShardInfoRequest())
            assert (info.shard, info.report.protocol) == ("shard-00000", PROTOCOL)
        await server.stop(None)

    asyncio.run(run())
