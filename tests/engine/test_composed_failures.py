"""What queries of several parts say when something does not answer."""

import asyncio
import threading
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine import calls
from spr.v1 import types_pb2
from tests.engine.oracle import Cluster, RankerOracle, cluster
from tests.engine.running import ask
from tests.engine.test_composed import A, B, chains, composed, search


def test_a_lost_shard_lowers_the_coverage(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        whole = search(workers, composed(A, B))
        workers.shards[1][0].refuses = grpc.StatusCode.UNAVAILABLE
        found = search(workers, composed(A, B))
    lost = {workers.corpus.ids()[number] for number in workers.corpus.of_shard(1)}
    assert found.coverage.ratio == 0.5
    assert list(found.coverage.unreachable) == ["shard-00001"]
    assert list(found.coverage.degraded) == [types_pb2.DEGRADED_REASON_SHARD_UNAVAILABLE]
    assert found.moments
    assert {video for video, _ in chains(found)} == {v for v, _ in chains(whole) if v not in lost}


@pytest.mark.parametrize("fails", [A, B, "night"])
def test_what_is_not_ranked_whole_is_coarse_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    rank: Any = RankerOracle.Rank

    def refusing(self: RankerOracle, request: Any, context: Any) -> Any:
        if said(request) == fails:
            raise RuntimeError("secret detail")
        return rank(self, request, context)

    monkeypatch.setattr(RankerOracle, "Rank", refusing)
    with cluster(tmp_path) as workers:
        found = asked_without_night(workers)
        coarse = search(workers, composed(A, B, params={"rerank": False}))
    assert list(found.coverage.degraded) == [types_pb2.DEGRADED_REASON_RANKER_SKIPPED]
    assert chains(found) == chains(coarse)
    assert found.versions.ranker_model == ""


def asked_without_night(workers: Cluster) -> Any:
    asked = composed(A, B)
    asked.composed.parts[1].not_texts.append("night")
    return search(workers, asked)


@pytest.mark.parametrize(("stage", "code"), [("Encode", "INVALID_ARGUMENT"), ("Rank", "RESOURCE_EXHAUSTED")])
def test_a_part_that_is_refused_cancels_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str, code: str
) -> None:
    begun, cancelled = threading.Event(), threading.Event()

    async def stuck(self: RankerOracle, request: Any, context: Any) -> Any:
        text = request.text if stage == "Encode" else said(request)
        if text != A:
            await asyncio.to_thread(begun.wait, 20)
            await context.abort(grpc.StatusCode[code], "refused")
        begun.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async def run(stub: Any) -> bool:
        with pytest.raises(grpc.RpcError):
            await stub.Search(composed(A, B), timeout=50)
        # Before the coordinator ends, which cancels everything.
        return await asyncio.to_thread(cancelled.wait, 20)

    monkeypatch.setattr(RankerOracle, stage, stuck)
    with cluster(tmp_path, max_deadline=60.0, hedge_after=0.0) as workers:
        assert ask(workers, run)


def said(request: Any) -> str:
    tokens = bytes(map(int, memoryview(request.token_states.data).cast("f")))
    return tokens.decode().strip()


def test_the_first_failure_is_raised_when_all_have_ended() -> None:
    ended = []

    async def waiting(number: int) -> int:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(number)
        return number

    async def failing() -> int:
        await asyncio.sleep(0)
        raise ValueError("the first")

    async def quick(number: int) -> int:
        return number

    async def run() -> None:
        with pytest.raises(ValueError, match="the first"):
            await calls.together([waiting(0), failing(), waiting(2)])
        assert sorted(ended) == [0, 2]

    asyncio.run(run())
    assert asyncio.run(calls.together(quick(number) for number in range(3))) == [0, 1, 2]
