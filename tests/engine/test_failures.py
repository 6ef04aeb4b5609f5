"""What a search says when a shard is dead, stuck, full or wrong."""

import asyncio
import dataclasses
import time
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine.faults import reason_of
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import search, timed
from tests.engine.oracle import cluster
from tests.engine.running import ask, refused

TIMEOUT = types_pb2.DEGRADED_REASON_SHARD_TIMEOUT
UNAVAILABLE = types_pb2.DEGRADED_REASON_SHARD_UNAVAILABLE


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


def test_a_shard_without_the_version_is_lost(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        workers.shards[1][0].refuse()
        response = ask(workers, search)
    # Nothing mixes two versions.
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
        worker.videos = workers.corpus.of_shard(1)[1:]
        few = ask(workers, search)
        worker.videos = workers.corpus.of_shard(0)
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
