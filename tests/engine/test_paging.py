"""Page tokens of one coordinator, sent to another one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.pages import Token
from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import embedding_of, request, rows
from tests.engine.corpus import Corpus, sentence
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import coordinator
from tests.engine.switching import failed

PARAMS = pb.SearchParams(segment_top_k=30, nms_iou=0.5)


def next_of(page: pb.SearchResponse, size: int = 2) -> pb.SearchRequest:
    return pb.SearchRequest(page_token=page.next_page_token, page_size=size)


@pytest.mark.parametrize("kind", ["text", "embedding"])
def test_pages_from_two_coordinators_in_turn_make_up_the_list(shared: Cluster, kind: str) -> None:
    asked = request(page_size=2) if kind == "text" else embedding_of(sentence("a"))
    asked.page_size = 2
    asked.params.CopyFrom(PARAMS)

    async def run() -> None:
        async with coordinator(shared) as (one, _), coordinator(shared) as (other, _):
            whole = await one.Search(
                pb.SearchRequest(**{kind: getattr(asked, kind)}, params=PARAMS, page_size=100)
            )
            page = await one.Search(asked)
            found, turn = rows(page), 0
            while page.next_page_token:
                turn += 1
                page = await (one, other)[turn % 2].Search(next_of(page))
                # One search, and then the list is there.
                assert bool(page.timings) is (turn == 1)
                found += rows(page)
            assert found == rows(whole)

    asyncio.run(run())


def test_a_token_is_refused_where_the_list_cannot_be_made_again(tmp_path: Path) -> None:
    corpus = Corpus()
    with cluster(tmp_path, corpus) as workers:

        async def run() -> Any:
            async with coordinator(workers) as (one, _):
                page = await one.Search(request(page_size=2))
            token = Token.parse(page.next_page_token)
            token.request.version = "00000009-000000000000"
            gone = pb.SearchRequest(page_token=token.text())
            async with coordinator(workers) as (other, _):
                await asyncio.to_thread(workers.kill, workers.topology.index[1].target)
                degraded = await failed(other.Search(next_of(page)))
                return degraded, await failed(other.Search(gone))

        degraded, gone = asyncio.run(run())
    assert degraded[:2] == gone[:2] == ("INVALID_ARGUMENT", "PAGE_TOKEN_INVALID")
    assert "the same search gives another one now; search again from the first page" in degraded[2]
    assert "is of version '00000009-000000000000', which is not served any more" in gone[2]


def test_without_a_cache_every_page_is_searched_for(tmp_path: Path) -> None:
    with cluster(tmp_path, page_lists=0) as workers:

        async def run() -> None:
            async with coordinator(workers) as (stub, _):
                page = await stub.Search(request(page_size=2))
                again = await stub.Search(next_of(page))
                assert again.timings
                assert [moment.rank for moment in again.moments] == [3, 4]

        asyncio.run(run())
