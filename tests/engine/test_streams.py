"""Answers in parts: pages, the progressive stream, and the stream of health."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine.serving import NOT_SERVING, SERVING
from spr.v1 import search_service_pb2 as pb
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from tests.engine.asking import Row, request, rows
from tests.engine.corpus import Corpus
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask, coordinator, lines_of, written


def test_pages_make_up_the_whole_list_and_do_not_shift(shared: Cluster) -> None:
    async def read(stub: Any) -> tuple[pb.SearchResponse, list[Row], str]:
        whole = await stub.Search(request(page_size=1000))
        page = await stub.Search(request(page_size=3))
        found, first = rows(page), page.next_page_token
        while page.next_page_token:
            page = await stub.Search(pb.SearchRequest(page_token=page.next_page_token, page_size=4))
            found += rows(page)
            assert page.moments[-1].rank == len(found)
            assert page.total_moments == whole.total_moments
        await stub.Search(pb.SearchRequest(page_token=first))
        return whole, found, first

    whole, found, _ = ask(shared, read)
    assert found == rows(whole)
    assert len(found) == whole.total_moments > 7


def test_progressive_search_is_coarse_then_refined(shared: Cluster) -> None:
    async def read(stub: Any) -> list[pb.ProgressiveSearchResponse]:
        return [message async for message in stub.ProgressiveSearch(request(page_size=5))]

    coarse, refined = ask(shared, read)
    assert (coarse.stage, refined.stage) == (coarse.STAGE_COARSE, coarse.STAGE_REFINED)
    assert not any(m.provenance.refined for m in coarse.response.moments)
    assert all(m.provenance.refined for m in refined.response.moments)
    assert refined.response == _same_but_times(
        ask(shared, lambda stub: stub.Search(request(page_size=5))), refined.response
    )
    assert not coarse.response.next_page_token


def _same_but_times(response: pb.SearchResponse, other: pb.SearchResponse) -> pb.SearchResponse:
    response.ClearField("timings")
    response.timings.extend(other.timings)
    response.next_page_token, response.request_id = other.next_page_token, other.request_id
    return response


def test_a_stream_that_nobody_reads_holds_no_place_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.interceptors.WRITE_PATIENCE", 0.2)
    # The answer is larger than what this reader takes unread.
    corpus = Corpus(folder="/" + "x" * 20_000)
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024)]

    async def run(workers: Cluster, lines: Any) -> tuple[pb.SearchResponse, str]:
        async with (
            coordinator(workers) as (stub, running),
            grpc.aio.insecure_channel(running.address, narrow) as channel,
        ):
            unread: Any = SearchServiceStub(channel)
            unread = unread.ProgressiveSearch(request(page_size=100, request_id="unread"))
            while workers.rankers[0].ranking.calls < 1:
                await asyncio.sleep(0.01)
            # As one of a batch it waits for its place, until the other is ranked.
            batch = pb.BatchSearchRequest(requests=[request(page_size=1)])
            answer = (await stub.BatchSearch(batch, timeout=10)).entries[0].response
            told = (line["message"] for line in lines_of(lines, "unread"))
            return answer, await asyncio.to_thread(lambda: next(line for line in told if "nobody" in line))

    with cluster(tmp_path, corpus, max_in_flight=1, uris="full") as workers, written("spr.rpc") as lines:
        answer, why = asyncio.run(run(workers, lines))
    assert answer.moments
    assert "nobody read an answer" in why


def test_health_follows_the_path_to_an_answer(tmp_path: Path) -> None:
    """Not serving before the first look, serving while a ranker answers, not serving once it is gone."""

    async def run(workers: Cluster) -> list[int]:
        states = []
        async with (
            coordinator(workers) as (_, running),
            grpc.aio.insecure_channel(running.address) as channel,
        ):
            health: Any = health_pb2_grpc.HealthStub(channel)
            asked = health_pb2.HealthCheckRequest(service="spr.v1.SearchService")
            async for state in health.Watch(asked):
                states.append(state.status)
                if states[-1] == SERVING:
                    await asyncio.to_thread(workers.kill, workers.topology.ranker[0].target)
                elif SERVING in states:
                    break
        return states

    with cluster(tmp_path) as workers:
        assert asyncio.run(run(workers))[-2:] == [SERVING, NOT_SERVING]
