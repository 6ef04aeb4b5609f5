"""Standing searches through the operator's port: what is refused, and what is handed over."""

import asyncio
import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from engine.config import LibraryConfig
from engine.faults import reason_of
from spr.v1 import standing_service_pb2 as pb
from spr.v1.standing_service_pb2_grpc import (
    StandingServiceStub,
    add_StandingServiceServicer_to_server,
)
from spr_gateway import answers
from spr_gateway.upstream import Upstream
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import coordinator
from tests.engine.server import Server
from tests.engine.switching import failed
from tests.engine.test_violations import violation, wrong
from trainer.library.standing.hooks import Hooks
from trainer.library.standing.judging import Judging
from trainer.library.standing.posting import Hosts
from trainer.library.standing.service import StandingServicer
from trainer.library.standing.store import Store

WRONG: Mapping[str, Mapping[str, Any]] = {
    "CreateStandingSearch": {
        "standing_search.id": "a/b",
        "standing_search.name": "x" * 201,
        "standing_search.text": "x" * 1001,
        "standing_search.filter.video_ids": ["a"],
        "standing_search.filter.folder": "x" * 1001,
        "standing_search.precision": math.nan,
        "standing_search.confidence": 1.5,
        "standing_search.webhook": "ftp://a",
        "webhook_secret": "x" * 257,
    },
    "ListMatches": {"page_size": 1001, "page_token": "nonsense!"},
    "WatchMatches": {"after": 2**63},
}
RIGHT: Mapping[str, Any] = {
    "CreateStandingSearch": pb.CreateStandingSearchRequest(
        standing_search=pb.StandingSearch(text="a ball", confidence=0.5)
    ),
    "ListMatches": pb.ListMatchesRequest(),
    "WatchMatches": pb.WatchMatchesRequest(),
}


def serve(workers: Cluster, kept: Store) -> None:
    """Serve a record by the library's own servicer; nothing is judged."""
    judging, hooks = Judging([kept], None, lambda: None), Hooks([kept], Hosts(None))
    servicer = StandingServicer({kept.name: kept}, judging, hooks, Hosts(None))
    server = Server(lambda server: add_StandingServiceServicer_to_server(servicer, server))
    workers.topology = replace(workers.topology, library=LibraryConfig(listen=server.address))
    workers.servers[server.address] = server


def test_a_wrong_field_is_named_and_nothing_is_kept(tmp_path: Path) -> None:
    async def ask(workers: Cluster) -> None:
        async with (
            coordinator(workers) as (_, running),
            grpc.aio.insecure_channel(running.admin_address) as channel,
        ):
            stub: Any = StandingServiceStub(channel)
            for method, table in WRONG.items():
                for path, value in table.items():
                    call = getattr(stub, method)(wrong(RIGHT[method], path, value))
                    assert await violation(call.read() if method == "WatchMatches" else call) == path
            nothing = pb.CreateStandingSearchRequest(standing_search=pb.StandingSearch(precision=0.5))
            assert await violation(stub.CreateStandingSearch(nothing)) == "standing_search.text"
            # It has no token where callers need one.
            assert (await failed(stub.CreateStandingSearch(RIGHT["CreateStandingSearch"])))[1] == "NO_TOKEN"
            listed = await stub.ListStandingSearches(pb.ListStandingSearchesRequest())
            assert not listed.standing_searches
            elsewhere = pb.ListMatchesRequest(collection="films")
            assert (await failed(stub.ListMatches(elsewhere)))[:2] == ("NOT_FOUND", "COLLECTION_NOT_FOUND")

    with (
        cluster(tmp_path) as workers,
        closing(Store(workers.topology.collection, workers.corpus.name)) as kept,
    ):
        serve(workers, kept)
        asyncio.run(ask(workers))


def test_without_a_library_every_call_says_so(tmp_path: Path) -> None:
    async def ask(workers: Cluster) -> None:
        async with (
            coordinator(workers) as (_, running),
            grpc.aio.insecure_channel(running.admin_address) as channel,
        ):
            stub: Any = StandingServiceStub(channel)
            for method, request in RIGHT.items():
                call = getattr(stub, method)(request)
                with pytest.raises(grpc.RpcError) as failure:
                    await (call.read() if method == "WatchMatches" else call)
                assert reason_of(failure.value) == "NO_LIBRARY"

    with cluster(tmp_path) as workers:
        asyncio.run(ask(workers))


def test_the_page_lists_matches_with_the_text_that_leads_to_them(tmp_path: Path) -> None:
    async def ask(workers: Cluster) -> list[dict[str, Any]]:
        async with coordinator(workers) as (_, running):
            upstream = Upstream([running.address], running.admin_address)
            found = [answers.match(*one) for one in await upstream.matches("")]
            await upstream.close()
        return found

    asked = pb.StandingSearch(id="ball", name="balls", text="a red ball", confidence=0.5)
    match = pb.Match(standing_search_id="ball", name="balls", video_id="talk", confidence=0.75)
    match.span.start_offset.FromMilliseconds(2500)
    match.span.end_offset.FromSeconds(5)
    with (
        cluster(tmp_path) as workers,
        closing(Store(workers.topology.collection, workers.corpus.name)) as kept,
    ):
        search = kept.create(asked, b"", existing=True)
        batch = kept.next_batch(search)
        assert batch is not None
        kept.judged(search, batch, [match])
        serve(workers, kept)
        (told,) = asyncio.run(ask(workers))
    assert (told["name"], told["text"], told["video"]) == ("balls", "a red ball", "talk")
    assert (told["start"], told["end"], told["confidence"]) == (2.5, 5.0, 0.75)
