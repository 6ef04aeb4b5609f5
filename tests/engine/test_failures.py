"""What a search says when a part of the engine is dead, stuck, full or wrong."""

import asyncio
import dataclasses
import time
from pathlib import Path
from typing import Any

import grpc

from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import TEXT, by_hand, rounded, rows
from tests.engine.faults import TIMEOUT, UNAVAILABLE, search, timed
from tests.engine.oracle import cluster
from tests.engine.running import ask, lines_of, refused, written


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
            workers.servers[worker.target].gate.limit = 0
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
