"""A whole coordinator under more load than its workers take."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import pytest

from engine import cost, entrance, servicer
from engine.callers import address_of
from engine.faults import reason_of
from engine.queries import SearchOptions
from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import embedding_of, request, search
from tests.engine.corpus import DIM
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask, refused

EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED


def test_one_shard_that_refuses_is_told_unless_a_part_is_enough(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        workers.shards[1][0].refuses = EXHAUSTED
        assert refused(workers, search)[0] == "RESOURCE_EXHAUSTED"
        part = ask(workers, lambda stub: search(stub, params={"min_coverage": 0.1}))
        assert list(part.coverage.unreachable) == ["shard-00001"]


def test_a_ranker_that_refuses_makes_no_coarse_answer_of_a_search(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        ask(workers, search)

        async def run(stub: Any) -> None:
            await search(stub)  # its sentence needs no encoder now
            workers.rankers[0].refuses = EXHAUSTED
            with pytest.raises(grpc.RpcError) as failure:
                await search(stub)
            assert failure.value.code() is EXHAUSTED
            # Of a progressive search the first answer is there already.
            answers = [answer async for answer in stub.ProgressiveSearch(request())]
            assert len(answers) == 2
            assert answers[1].response.coverage.degraded

        ask(workers, run)


def named(context: Any) -> str:
    return str(dict(context.invocation_metadata()).get("caller", ""))


def test_a_modest_caller_beside_a_greedy_one_is_always_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (entrance, servicer):
        monkeypatch.setattr(module, "caller_of", named)

    async def run(stub: Any) -> int:
        over, told = asyncio.Event(), 0

        async def greedy() -> None:
            nonlocal told
            while not over.is_set():
                try:
                    await stub.Search(request(), metadata=[("caller", "greedy")])
                except grpc.aio.AioRpcError as error:
                    told += (error.code(), reason_of(error)) == (EXHAUSTED, "QUEUE_FULL")

        many = [asyncio.create_task(greedy()) for _ in range(16)]
        while not told:
            await asyncio.sleep(0.001)
        for _ in range(10):
            assert (await stub.Search(request(), metadata=[("caller", "modest")])).moments
        over.set()
        await asyncio.gather(*many)
        return told

    with cluster(tmp_path, max_in_flight=4) as workers:
        assert ask(workers, run) > 10


def test_batches_beyond_what_can_be_done_are_refused_as_a_whole(shared: Cluster) -> None:
    batch = pb.BatchSearchRequest(requests=[request("one")] * 8)

    async def run(stub: Any) -> list[Any]:
        return list(
            await asyncio.gather(*(stub.BatchSearch(batch) for _ in range(40)), return_exceptions=True)
        )

    found = ask(shared, run)
    refusals = [error for error in found if isinstance(error, grpc.RpcError)]
    assert all(error.code() is EXHAUSTED for error in refusals)
    entries = [entry for answer in found if not isinstance(answer, grpc.RpcError) for entry in answer.entries]
    assert entries
    assert {entry.WhichOneof("result") for entry in entries} == {"response"}


TWO_LESS_ONE = pb.ComposedQuery(parts=[pb.QueryPart(text="a"), pb.QueryPart(text="b", not_texts=["c"])])


@pytest.mark.parametrize(
    ("asked", "units"),
    [
        (request(), 1.0),
        (request(params={"segment_top_k": 2000, "proposal_top_k": 2000}), 7.3),
        (request(params={"segment_top_k": 2000, "rerank": False}), 2.3),
        (request(params={"rerank": False}), 1.0),
        (request(params={"segment_top_k": 2**31}), 2.8),
        (embedding_of([0.0] * DIM), 1.0),
        (pb.SearchRequest(composed=TWO_LESS_ONE), 3.0),
        (request("a ball, then a star, not at night", interpret=True), 4.0),
    ],
)
def test_a_search_costs_what_it_fetches_and_ranks(asked: pb.SearchRequest, units: float) -> None:
    assert cost.cost_of(asked, SearchOptions()) == pytest.approx(units)


@pytest.mark.parametrize(
    ("peer", "caller"),
    [("ipv4:10.0.0.1:50000", "10.0.0.1"), ("ipv6:%5B::1%5D:50000", "%5B::1%5D"), ("unix:", "unix:")],
)
def test_a_caller_is_known_by_its_address_whatever_its_port(peer: str, caller: str) -> None:
    assert address_of(peer) == caller
