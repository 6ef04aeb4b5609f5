"""A worker that is drained, and one of another protocol: neither is asked, and nothing fails."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.protocol import OLDEST, PROTOCOL
from spr.v1 import admin_service_pb2 as pb
from tests.engine.asking import TEXT, search
from tests.engine.library import with_library
from tests.engine.oracle import Cluster, IndexOracle, cluster
from tests.engine.running import coordinator
from tests.engine.switching import failed, operated, status


async def drain(admin: Any, worker: str, **fields: bool) -> pb.Worker:
    response = await admin.DrainWorker(pb.DrainWorkerRequest(worker=worker, **fields))
    return response.worker  # type: ignore[no-any-return]


async def several(stub: Any, n: int = 8) -> None:
    """Search, none of the sentences twice, so that each is encoded."""
    for answer in await asyncio.gather(*(search(stub, text=f"{TEXT} {i}") for i in range(n))):
        assert not answer.coverage.degraded
        assert all(moment.provenance.refined for moment in answer.moments)


def asked(worker: IndexOracle) -> int:
    return worker.held.calls


def test_a_drained_worker_gets_no_new_search_from_any_coordinator_and_none_fails(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> None:
        drained, ranker = workers.shards[0][0], workers.rankers[1]
        target = workers.topology.index[0].target
        async with operated(workers) as (stub, admin, _), coordinator(workers) as (other, __):
            await search(other)
            state = await drain(admin, f"shard-00000@{target}")
            assert (state.state, state.calls_in_flight) == (pb.Worker.STATE_DRAINING, 0)
            await drain(admin, "ranker-1")
            before = asked(drained), ranker.encoding.calls, ranker.ranking.calls
            await several(stub)
            assert (asked(drained), ranker.encoding.calls, ranker.ranking.calls) == before
            # The other coordinator is told by the worker itself, where no probe has told it before.
            await several(other)
            shown = {worker.name: worker for worker in (await status(admin)).workers if not worker.last_error}
            assert shown["ranker-1"].state == pb.Worker.STATE_DRAINING
            assert (await drain(admin, target, undo=True)).state == pb.Worker.STATE_SERVING
            await several(stub)
            assert asked(drained) > before[0]

    with cluster(tmp_path, replicas=2, rankers=2) as workers:
        asyncio.run(run(workers))


def test_what_is_in_flight_at_a_drained_worker_ends(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> None:
        gates = [worker.held for worker in workers.shards[0]]
        async with operated(workers) as (stub, admin, _):
            for gate in gates:
                gate.open.clear()
            searching = asyncio.ensure_future(search(stub))
            while not any(gate.waiting for gate in gates):
                await asyncio.sleep(0.01)
            number = 0 if gates[0].waiting else 1
            state = await drain(admin, workers.topology.index[number].target)
            assert (state.state, state.calls_in_flight, state.outstanding) == (pb.Worker.STATE_DRAINING, 1, 1)
            for gate in gates:
                gate.open.set()
            assert not (await searching).coverage.degraded
            assert {one.calls_in_flight for one in (await status(admin)).workers} == {0}

    with cluster(tmp_path, replicas=2, hedge_after=0) as workers:
        asyncio.run(run(workers))


def test_the_last_worker_of_a_shard_is_drained_by_force_alone(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> None:
        async with operated(workers) as (stub, admin, _):
            request = pb.DrainWorkerRequest(worker="shard-00001")
            code, reason, message = await failed(admin.DrainWorker(request))
            assert (code, reason) == ("FAILED_PRECONDITION", "LAST_WORKER")
            assert "last worker that serves its shard of 'default'" in message
            await drain(admin, "shard-00001", force=True)
            answer = await search(stub)
            assert list(answer.coverage.unreachable) == ["shard-00001"]
            assert (await drain(admin, "shard-00001", undo=True)).state == pb.Worker.STATE_SERVING
            assert not (await search(stub)).coverage.degraded

    with cluster(tmp_path) as workers:
        asyncio.run(run(workers))


def test_a_worker_that_cannot_be_meant_is_refused_with_the_names_there_are(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> None:
        async with operated(workers) as (_, admin, __):
            refused = {
                name: await failed(admin.DrainWorker(pb.DrainWorkerRequest(worker=name)))
                for name in ("shard-00007", "shard-00000", "library")
            }
        assert refused["shard-00007"][:2] == ("NOT_FOUND", "WORKER_NOT_FOUND")
        assert f"shard-00000@{workers.topology.index[0].target}" in refused["shard-00007"][2]
        assert "names 2 workers; say one: shard-00000@" in refused["shard-00000"][2]
        assert "the library answers no searches" in refused["library"][2]

    with cluster(tmp_path, replicas=2) as workers, with_library(workers):
        asyncio.run(run(workers))


@pytest.mark.parametrize("spoken", [PROTOCOL + 98, OLDEST - 1])
def test_a_worker_of_another_protocol_is_never_asked_and_says_why(tmp_path: Path, spoken: int) -> None:
    async def run(workers: Cluster) -> None:
        async with operated(workers) as (stub, admin, _):
            told = {worker.target: worker for worker in (await status(admin)).workers}
            before = asked(workers.shards[0][0]), workers.rankers[0].encoding.calls
            await several(stub)
            assert (asked(workers.shards[0][0]), workers.rankers[0].encoding.calls) == before
        for target in (workers.topology.index[0].target, workers.topology.ranker[0].target):
            assert told[target].state == pb.Worker.STATE_NOT_SERVING
            assert told[target].protocol == spoken
            assert f"speaks protocol {spoken}, this coordinator" in told[target].last_error
            assert "; restart " in told[target].last_error

    with cluster(tmp_path, replicas=2, rankers=2) as workers:
        workers.shards[0][0].protocol = workers.rankers[0].protocol = spoken
        asyncio.run(run(workers))


def test_a_library_of_another_protocol_says_why(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> pb.Worker:
        async with operated(workers) as (_, admin, __):
            return (await status(admin)).workers[-1]

    with cluster(tmp_path) as workers, with_library(workers) as library:
        library.protocol = PROTOCOL + 1
        told = asyncio.run(run(workers))
    assert (told.name, told.state) == ("library", pb.Worker.STATE_NOT_SERVING)
    assert "restart the coordinator from the newer release" in told.last_error


def test_a_caller_that_leaves_does_not_end_what_others_wait_for(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> None:
        async with coordinator(workers) as (_, running):
            leaves, stays = (asyncio.create_task(running._monitor.look()) for _ in range(2))
            await asyncio.sleep(0)  # both wait for the same probes
            leaves.cancel()
            await stays
            assert {worker.state for worker in running._monitor.workers} == {"serving"}

    with cluster(tmp_path) as workers:
        asyncio.run(run(workers))
