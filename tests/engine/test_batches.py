"""Batches and progressive searches: their entries, limits and slots."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from engine import interceptors
from spr.v1 import search_service_pb2 as pb
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from tests.engine.asking import TEXT, Row, by_hand, request, rounded, rows
from tests.engine.corpus import Corpus
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask, coordinator, details, lines_of, refused, written


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


def test_each_query_of_a_batch_has_its_own_status(shared: Cluster) -> None:
    asked = pb.BatchSearchRequest(requests=[request("one", request_id="first"), request(""), request("two")])
    response = ask(shared, lambda stub: stub.BatchSearch(asked))
    kinds = [entry.WhichOneof("result") for entry in response.entries]
    assert kinds == ["response", "status", "response"]
    assert response.entries[0].response.request_id == "first"
    assert response.entries[1].status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert rounded(rows(response.entries[2].response)) == rounded(by_hand(shared.corpus, "two"))[:10]


def test_a_batch_is_bounded(shared: Cluster) -> None:
    asked = pb.BatchSearchRequest(requests=[request()] * 65)
    assert refused(shared, lambda stub: stub.BatchSearch(asked))[0] == "INVALID_ARGUMENT"


def test_an_answer_fits_into_a_message(tmp_path: Path) -> None:
    corpus = Corpus(folder="/" + "x" * 4000)
    asked = pb.BatchSearchRequest(requests=[request(page_size=100)] * 64)
    with cluster(tmp_path, corpus, uris="full") as workers:

        async def run(stub: Any) -> tuple[pb.BatchSearchResponse, list[Row]]:
            batch = await stub.BatchSearch(asked)
            page = batch.entries[63].response
            found = rows(page)
            while page.next_page_token:
                page = await stub.Search(pb.SearchRequest(page_token=page.next_page_token, page_size=100))
                found += rows(page)
            return batch, found

        batch, found = ask(workers, run)
    assert all(0 < len(entry.response.moments) < 100 for entry in batch.entries)
    assert rounded(found) == rounded(by_hand(corpus, TEXT))


def test_the_queries_of_a_batch_take_places_and_leave_some(tmp_path: Path) -> None:
    with cluster(tmp_path, max_in_flight=2) as workers:
        encoding = workers.rankers[0].encoding
        batch = pb.BatchSearchRequest(requests=[request(f"sentence {i}") for i in range(6)])

        async def run(stub: Any) -> tuple[Any, Any, Any]:
            encoding.open.clear()
            many = asyncio.ensure_future(stub.BatchSearch(batch))
            while encoding.calls < 1:
                await asyncio.sleep(0.01)
            one = asyncio.ensure_future(stub.Search(request()))
            while encoding.calls < 2:
                await asyncio.sleep(0.01)
            with pytest.raises(grpc.RpcError) as failure:
                await stub.Search(request())
            assert encoding.calls == 2
            encoding.open.set()
            return await many, await one, failure.value

        answers, single, refusal = ask(workers, run)
    assert [entry.WhichOneof("result") for entry in answers.entries] == ["response"] * 6
    assert single.moments
    assert details(refusal)["ErrorInfo"].reason == "QUEUE_FULL"


def test_a_batch_that_waits_too_long_for_places_says_so(tmp_path: Path) -> None:
    with cluster(tmp_path, max_in_flight=1) as workers:
        encoding = workers.rankers[0].encoding

        async def run(stub: Any) -> Any:
            encoding.open.clear()
            one = asyncio.ensure_future(stub.Search(request()))
            while encoding.calls < 1:
                await asyncio.sleep(0.01)
            answer = await stub.BatchSearch(pb.BatchSearchRequest(requests=[request("other")]), timeout=0.3)
            encoding.open.set()
            await one
            return answer

        (entry,) = ask(workers, run).entries
    assert entry.status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


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


@pytest.mark.parametrize("steps", range(8))
def test_a_caller_that_leaves_as_it_is_answered_ends_its_stream(steps: int) -> None:
    """Whenever the cancellation comes: before, with or after the write's end."""

    async def leave() -> bool:
        sent = asyncio.get_running_loop().create_future()

        class Context:
            async def write(self, reply: bytes) -> None:
                await sent

        async def stream() -> None:
            await interceptors._written(Context(), b"")
            await asyncio.Event().wait()

        task = asyncio.create_task(stream())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sent.set_result(None)
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        done, _ = await asyncio.wait([task], timeout=1)
        task.cancel()
        return task in done

    assert asyncio.run(leave())
