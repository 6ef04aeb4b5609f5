"""What a search says when a part of the engine is dead, stuck, full or wrong."""

import asyncio
import dataclasses
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine.errors import InvalidInput
from engine.faults import reason_of
from engine.monitor import INTERVAL
from engine.replica_health import EJECT_AFTER
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.oracle import Cluster, Corpus, cluster
from tests.engine.running import ask, coordinator, lines_of, refused, written
from tests.engine.test_search import TEXT, by_hand, request, rounded, rows

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


def test_a_dead_shard_is_counted_and_its_videos_are_missing(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        workers.kill(workers.topology.index[1].target)
        response = ask(workers, search)
        refusal = refused(workers, lambda stub: search(stub, params={"min_coverage": 0.9}))
    assert list(response.coverage.degraded) == [UNAVAILABLE]
    assert list(response.coverage.unreachable) == ["shard-00001"]
    assert (response.coverage.shards_answered, response.coverage.videos_searched) == (1, 6)
    assert response.coverage.ratio == 0.5
    alive = {name for i, name in enumerate(workers.corpus.ids()) if i % 2 == 0}
    assert {moment.video_id for moment in response.moments} == alive
    assert refusal[:2] == ("UNAVAILABLE", "COVERAGE_TOO_LOW")
    assert "50.0%" in refusal[2]


def test_a_stuck_shard_is_given_up_in_time_for_the_ranker(tmp_path: Path) -> None:
    with cluster(tmp_path, shard_timeout=0.3) as workers:
        workers.shards[0][0].held.open.clear()
        response, seconds = timed(workers, search)
    assert list(response.coverage.degraded) == [TIMEOUT]
    assert list(response.coverage.unreachable) == ["shard-00000"]
    assert all(moment.provenance.refined for moment in response.moments)
    assert 0.3 <= seconds < 2


def test_a_shards_share_of_a_short_deadline_leaves_time_to_rank(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        workers.shards[0][0].held.open.clear()
        response, seconds = timed(workers, lambda stub: search(stub, timeout=1.0))
    assert list(response.coverage.degraded) == [TIMEOUT]
    assert all(moment.provenance.refined for moment in response.moments)
    assert seconds < 1.0


def test_no_shard_is_no_answer(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        for worker in workers.topology.index:
            workers.kill(worker.target)
        assert refused(workers, search)[:2] == ("UNAVAILABLE", "NO_SHARDS")


def test_a_replica_takes_over_from_a_dead_one(tmp_path: Path) -> None:
    with cluster(tmp_path, replicas=2, rankers=2) as workers:
        workers.kill(workers.topology.index[0].target)
        workers.kill(workers.topology.ranker[1].target)

        async def run(stub: Any) -> list[pb.SearchResponse]:
            return [await search(stub) for _ in range(4)]

        for response in ask(workers, run):
            assert rounded(rows(response)) == rounded(by_hand(workers.corpus, TEXT))
            assert not response.coverage.degraded


def test_a_slow_replica_is_hedged(tmp_path: Path) -> None:
    with cluster(tmp_path, replicas=2, hedge_after=0.05) as workers:
        workers.shards[0][0].held.open.clear()

        async def run(stub: Any) -> list[pb.SearchResponse]:
            return [await search(stub) for _ in range(4)]

        responses, seconds = timed(workers, run)  # type: ignore[arg-type]
    assert not any(response.coverage.degraded for response in responses)
    assert workers.shards[0][0].held.calls >= 1
    assert seconds < 2


def test_a_shard_of_another_generation_is_lost(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        workers.shards[1][0].generation = "g0"
        response = ask(workers, search)
    # Nothing mixes two generations.
    assert list(response.coverage.unreachable) == ["shard-00001"]


def test_a_worker_of_another_shard_is_lost(tmp_path: Path) -> None:
    """Whether it refuses, as ours do, or answers all the same: nothing of it gets into the answer."""
    for careless in (False, True):
        with cluster(tmp_path / str(careless)) as workers:
            first, second = workers.topology.index
            workers.shards[0][0].careless = careless
            slip = dataclasses.replace(second, listen=first.listen)
            workers.topology = dataclasses.replace(workers.topology, index=(first, slip))
            response = ask(workers, search)
            code, reason, _ = refused(workers, lambda stub: search(stub, params={"min_coverage": 1.0}))
        assert list(response.coverage.unreachable) == ["shard-00001"]
        assert response.coverage.ratio == 0.5
        alive = {name for i, name in enumerate(workers.corpus.ids()) if i % 2 == 0}
        assert {moment.video_id for moment in response.moments} == alive
        assert (code, reason) == ("UNAVAILABLE", "COVERAGE_TOO_LOW")


def test_an_answer_of_another_size_or_of_foreign_segments_is_lost(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        worker = workers.shards[1][0]
        worker.videos = worker.videos[1:]
        few = ask(workers, search)
        worker.videos = worker.corpus.of_shard(0)
        foreign = ask(workers, search)
    assert list(few.coverage.unreachable) == list(foreign.coverage.unreachable) == ["shard-00001"]


def test_what_a_worker_does_wrong_is_told_as_a_defect(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        for shard in workers.shards:
            shard[0].broken = True
        code, reason, message = refused(workers, search)
    assert (code, reason) == ("INTERNAL", "INTERNAL")
    assert "secret" not in message


def test_shards_that_are_full_are_told_as_overload(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        for worker in workers.topology.index:
            workers.servers[worker.target].admission.limit = 0
        assert refused(workers, search)[:2] == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")


def test_no_address_of_a_worker_is_told_to_a_caller(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers, written("spr.ranking") as lines:
        target = workers.topology.ranker[0].target
        workers.kill(target)
        code, reason, message = refused(workers, lambda stub: search(stub, request_id="r-1"))
        told = next(lines_of(lines, "r-1"))
    assert (code, reason) == ("UNAVAILABLE", "NO_ENCODER")
    assert target.rpartition(":")[2] not in message
    assert target.rpartition(":")[2] in told["message"]


def test_a_dead_ranker_leaves_the_coarse_answer(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:

        async def run(stub: Any) -> pb.SearchResponse:
            # Encoding goes through the same process, so it dies between the two stages.
            judge = workers.rankers[0]
            judge.ranking.open.clear()
            answer = asyncio.ensure_future(search(stub))
            while not judge.ranking.calls:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(workers.kill, workers.topology.ranker[0].target)
            return await answer

        response = ask(workers, run)
        assert refused(workers, search)[:2] == ("UNAVAILABLE", "NO_ENCODER")
    assert list(response.coverage.degraded) == [SKIPPED]
    assert response.coverage.ratio == 1.0
    assert rounded(rows(response)) == rounded(by_hand(workers.corpus, TEXT, refine=False))
    assert response.versions.ranker_model == ""


@pytest.mark.parametrize("deadline", [0.6, None])
def test_a_stuck_ranker_does_not_cost_the_caller_its_deadline(tmp_path: Path, deadline: float | None) -> None:
    with cluster(tmp_path, max_deadline=1.0) as workers:
        workers.rankers[0].ranking.open.clear()
        response, seconds = timed(workers, lambda stub: search(stub, timeout=deadline))
    assert list(response.coverage.degraded) == [SKIPPED]
    assert not any(moment.provenance.refined for moment in response.moments)
    assert seconds < (deadline or 1.3)


def test_a_stuck_ranker_still_ends_a_progressive_search(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        workers.rankers[0].ranking.open.clear()

        async def run(stub: Any) -> list[pb.ProgressiveSearchResponse]:
            return [message async for message in stub.ProgressiveSearch(request(), timeout=0.6)]

        coarse, last = ask(workers, run)
    assert not coarse.response.coverage.degraded
    assert last.stage == last.STAGE_REFINED
    assert list(last.response.coverage.degraded) == [SKIPPED]
    assert last.response.moments == coarse.response.moments


def test_a_stuck_encoder_is_named_before_the_deadline(tmp_path: Path) -> None:
    with cluster(tmp_path, shard_timeout=0.2) as workers:
        workers.rankers[0].encoding.open.clear()
        code, reason, _ = refused(workers, lambda stub: search(stub, timeout=0.5))
    assert (code, reason) == ("UNAVAILABLE", "NO_ENCODER")


def test_a_callers_short_deadline_is_told_as_such(tmp_path: Path) -> None:
    # What is kept back for the answer is long enough for a busy machine.
    with cluster(tmp_path, reserve=2.0) as workers:
        workers.rankers[0].encoding.open.clear()
        encoding = refused(workers, lambda stub: search(stub, timeout=2.5))
        workers.rankers[0].encoding.open.set()
        for shard in workers.shards:
            shard[0].held.open.clear()
        searching = refused(workers, lambda stub: search(stub, timeout=2.5))
        covering = refused(workers, lambda stub: search(stub, timeout=2.5, params={"min_coverage": 1.0}))
    assert encoding[:2] == searching[:2] == covering[:2] == ("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")
    assert "give it more time" in encoding[2]


def test_a_slow_encoder_is_hedged(tmp_path: Path) -> None:
    with cluster(tmp_path, rankers=2, hedge_after=0.05) as workers:
        workers.rankers[0].encoding.open.clear()
        response, seconds = timed(workers, search)
    assert response.moments
    assert seconds < 2


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


def test_a_wrong_or_stopping_replica_costs_nothing_beside_a_sound_one(tmp_path: Path) -> None:
    with cluster(tmp_path, replicas=2, rankers=2) as workers:
        workers.shards[0][0].generation = "g0"
        workers.shards[1][1].refuses = grpc.StatusCode.CANCELLED
        workers.rankers[0].refuses = grpc.StatusCode.FAILED_PRECONDITION

        async def run(stub: Any) -> list[pb.SearchResponse]:
            texts = [f"{TEXT} {i}" for i in range(8)]  # none of which is remembered
            return [await search(stub, text=text) for text in texts]

        responses = ask(workers, run)
    assert not any(response.coverage.degraded for response in responses)
    assert all(moment.provenance.refined for response in responses for moment in response.moments)


def test_a_stalled_ranker_beside_an_idle_one_is_hedged_and_then_left_alone(tmp_path: Path) -> None:
    with cluster(tmp_path, rankers=2, hedge_after=0.05) as workers:
        stalled = workers.rankers[0]

        async def run(stub: Any) -> tuple[int, float]:
            for _ in range(40):  # how long ranking takes is known after some
                await search(stub)
            stalled.ranking.open.clear()
            while stalled.ranking.waiting < EJECT_AFTER:
                await search(stub)
            asked, began = stalled.ranking.calls, time.monotonic()
            for _ in range(20):
                assert not (await search(stub)).coverage.degraded
            return stalled.ranking.calls - asked, time.monotonic() - began

        asked, seconds = ask(workers, run)
    # A probe a second may bring it back, for one call.
    assert asked <= 1 + seconds / INTERVAL
    assert seconds < 5


def test_a_stalled_shard_costs_its_time_out_twice_and_comes_back(tmp_path: Path) -> None:
    with cluster(tmp_path, shard_timeout=0.6) as workers:
        held = workers.shards[0][0].held

        async def run(stub: Any) -> tuple[Any, float]:
            held.open.clear()
            held.info.clear()
            for _ in range(2):
                await search(stub)
            began = time.monotonic()
            answers = [await search(stub) for _ in range(5)]
            seconds = time.monotonic() - began
            held.open.set()
            held.info.set()
            while (await search(stub)).coverage.degraded:
                await asyncio.sleep(0.01)
            return answers, seconds

        answers, seconds = ask(workers, run)
    assert all(list(answer.coverage.degraded) == [TIMEOUT] for answer in answers)
    assert seconds < 0.6


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
