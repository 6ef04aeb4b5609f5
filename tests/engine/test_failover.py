"""Failover and hedging: one bad replica beside a good one costs nothing."""

import time
from pathlib import Path
from typing import Any

import grpc

from engine.monitor import INTERVAL
from engine.replica_health import EJECT_AFTER
from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import TEXT, by_hand, rounded, rows, search, timed
from tests.engine.oracle import cluster
from tests.engine.running import ask


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


def test_a_slow_encoder_is_hedged(tmp_path: Path) -> None:
    with cluster(tmp_path, rankers=2, hedge_after=0.05) as workers:
        workers.rankers[0].encoding.open.clear()
        response, seconds = timed(workers, search)
    assert response.moments
    assert seconds < 2


def test_a_wrong_or_stopping_replica_costs_nothing_beside_a_sound_one(tmp_path: Path) -> None:
    with cluster(tmp_path, replicas=2, rankers=2) as workers:
        workers.shards[0][0].refuse()
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
