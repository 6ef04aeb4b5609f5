"""What an operator sees: admission, status, lost shards, newer generations."""

import asyncio
import dataclasses
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine.errors import InvalidInput
from engine.faults import reason_of
from spr.v1 import search_service_pb2 as pb
from tests.engine.corpus import Corpus
from tests.engine.faults import search
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask, coordinator, written


def test_searches_beyond_the_limit_are_refused_at_once_and_health_still_answers(tmp_path: Path) -> None:
    with cluster(tmp_path, max_in_flight=2) as workers:
        judge = workers.rankers[0]

        async def run(stub: Any) -> tuple[Any, list[pb.SearchResponse]]:
            judge.encoding.open.clear()
            inside = [asyncio.ensure_future(search(stub)) for _ in range(2)]
            while judge.encoding.calls < 2:
                await asyncio.sleep(0.01)
            with pytest.raises(grpc.RpcError) as failure:
                await search(stub)
            judge.encoding.open.set()
            return failure.value, await asyncio.gather(*inside)

        error, answers = ask(workers, run)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert reason_of(error) == "QUEUE_FULL"
    assert len(answers) == 2


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

    with cluster(tmp_path, Corpus(shards=3)) as workers:
        workers.kill(workers.topology.index[1].target)
        workers.shards[2][0].generation = "g0"
        status = asyncio.run(run(workers))
    states = {worker.name: worker.state for worker in status.workers}
    assert states == {
        "shard-00000": admin_pb.Worker.STATE_SERVING,
        "shard-00001": admin_pb.Worker.STATE_UNREACHABLE,
        "shard-00002": admin_pb.Worker.STATE_NOT_SERVING,
        "ranker-0": admin_pb.Worker.STATE_SERVING,
    }
    assert "serves generation g0" in status.workers[2].last_error
    assert (status.searches_answered, status.searches_failed, status.searches_degraded) == (1, 1, 1)
    assert status.collection.generation == workers.corpus.generation
    assert status.collection.shard_count == 3


def test_a_topology_must_name_the_generations_shards(tmp_path: Path) -> None:
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


def test_the_operator_hears_of_a_newer_generation(tmp_path: Path) -> None:
    from spr.v1 import admin_service_pb2 as admin_pb
    from spr.v1.admin_service_pb2_grpc import AdminServiceStub

    async def run(workers: Cluster) -> Any:
        async with (
            coordinator(workers) as (_, running),
            grpc.aio.insecure_channel(running.admin_address) as channel,
        ):
            path = workers.topology.collection
            (path / "generations" / "g2").mkdir()
            (path / "CURRENT").write_text("g2\n")
            return await AdminServiceStub(channel).GetStatus(admin_pb.GetStatusRequest())

    with cluster(tmp_path) as workers, written("spr.monitor") as lines:
        status = asyncio.run(run(workers))
    served = workers.corpus.generation
    assert (status.collection.generation, status.collection.newest_generation) == (served, "g2")
    told = [lines.get_nowait()["message"] for _ in range(lines.qsize())]
    assert f"generation g2 is current on disk, {served} is served; restart the service to serve it" in told
