"""What the operator is told: worker states, lost shards."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidInput
from spr_cli import admin_status
from tests.engine.asking import search
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask, coordinator, written
from tests.engine.talking import talking


def test_the_operator_sees_who_serves_what(tmp_path: Path) -> None:
    import grpc.aio

    from spr.v1 import admin_service_pb2 as admin_pb
    from spr.v1.admin_service_pb2_grpc import AdminServiceStub

    async def run(workers: Cluster) -> Any:
        async with (
            coordinator(workers) as (stub, running),
            grpc.aio.insecure_channel(running.admin_address) as channel,
        ):
            await search(stub)
            with pytest.raises(grpc.RpcError):
                await search(stub, collection="other")
            return await AdminServiceStub(channel).GetStatus(admin_pb.GetStatusRequest())

    with cluster(tmp_path, talking(3)) as workers:
        workers.kill(workers.topology.index[1].target)
        workers.shards[2][0].refuse("its disk is bad")
        status = asyncio.run(run(workers))
    states = {worker.name: worker.state for worker in status.workers}
    assert states == {
        "shard-00000": admin_pb.Worker.STATE_SERVING,
        "shard-00001": admin_pb.Worker.STATE_UNREACHABLE,
        "shard-00002": admin_pb.Worker.STATE_NOT_SERVING,
        "ranker-0": admin_pb.Worker.STATE_SERVING,
    }
    served = workers.corpus.version
    assert f"version {served}" in status.workers[2].last_error
    assert (status.searches_answered, status.searches_failed, status.searches_degraded) == (1, 1, 1)
    assert status.collection.generation == served
    assert status.collection.shard_count == 3
    assert "texts said and written, text encoder s@s" in admin_status.lines(status)


def test_a_topology_must_name_the_versions_shards(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        workers.topology = dataclasses.replace(workers.topology, index=workers.topology.index[:1])
        with pytest.raises(InvalidInput, match=r"has shard-00000, shard-00001, .* names shard-00000"):
            ask(workers, search)


def test_a_lost_shard_is_logged_once_and_counted(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers, written("spr.retrieval") as lines:
        workers.kill(workers.topology.index[1].target)

        async def run(stub: Any) -> None:
            for _ in range(5):
                await search(stub)

        ask(workers, run)
    assert lines.qsize() == 1
    assert "shard-00001 is lost" in lines.get()["message"]
