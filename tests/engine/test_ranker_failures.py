"""What a search says when the ranker or the encoder is dead, stuck or slow."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import TEXT, by_hand, request, rounded, rows, search, timed
from tests.engine.oracle import cluster
from tests.engine.running import ask, lines_of, refused, written

SKIPPED = types_pb2.DEGRADED_REASON_RANKER_SKIPPED


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
    # What is kept back for the answer is long enough for a busy machine.
    with cluster(tmp_path, reserve=2.0) as workers:
        workers.rankers[0].ranking.open.clear()

        async def run(stub: Any) -> list[pb.ProgressiveSearchResponse]:
            return [message async for message in stub.ProgressiveSearch(request(), timeout=2.5)]

        coarse, last = ask(workers, run)
    assert not coarse.response.coverage.degraded
    assert last.stage == last.STAGE_REFINED
    assert list(last.response.coverage.degraded) == [SKIPPED]
    assert last.response.moments == coarse.response.moments


def test_a_stuck_encoder_is_named_before_the_deadline(tmp_path: Path) -> None:
    # What is kept back for the answer is long enough for a busy machine.
    with cluster(tmp_path, shard_timeout=0.2, reserve=2.0) as workers:
        workers.rankers[0].encoding.open.clear()
        code, reason, _ = refused(workers, lambda stub: search(stub, timeout=2.5))
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
