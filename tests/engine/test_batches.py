"""Batches of searches: a status for each query, their size, and the places that they take."""

import asyncio
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import TEXT, Row, by_hand, request, rounded, rows
from tests.engine.corpus import Corpus
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask, details, refused


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
