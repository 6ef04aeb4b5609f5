"""Errors of the Python client: what is refused here, what the service refuses, what is asked again."""

import asyncio
import math
from typing import Any

import grpc
import grpc.aio
import pytest

import spr_client
from spr_client import AsyncClient, Client, Embedding, Options
from tests.clients.serving import ending
from tests.engine.asking import TEXT
from tests.engine.corpus import MODEL
from tests.engine.oracle import Cluster


def test_errors_are_rebuilt(address: str) -> None:
    with Client(address, collection="other") as client:
        with pytest.raises(spr_client.NotFound, match="'other' is not served") as caught:
            client.search(TEXT, request_id="r-1")
        assert (caught.value.reason, caught.value.request_id) == ("COLLECTION_NOT_FOUND", "r-1")


def test_an_absent_service_is_unavailable() -> None:
    with Client("127.0.0.1:1") as client, pytest.raises(spr_client.Unavailable) as caught:
        client.search(TEXT)
    assert "nothing answers at 127.0.0.1:1" in str(caught.value)
    assert caught.value.retry_after == 1.0


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"query": None}, "type NoneType"),
    ({"query": "red\udcff"}, "text is 'red.*UTF-8"),
    ({"query": Embedding((1e300,), MODEL)}, "no float32"),
    ({"query": Embedding(("a",), MODEL)}, "no float32"),  # type: ignore[arg-type]
    ({"timeout": 0}, "timeout is 0; give seconds above 0"),
    ({"timeout": -1.0}, "timeout is -1.0"),
    ({"timeout": math.nan}, "timeout is nan"),
    ({"timeout": "soon"}, "timeout is 'soon'"),
    ({"page_size": 1 << 40}, "page_size is 1099511627776; it must be a whole number"),
    ({"page_token": b"\xff"}, "page_token is"),
    ({"request_id": 7}, "request_id is 7; it must be text"),
    ({"options": Options(segment_top_k=-1)}, "segment_top_k is -1; it must be a whole number from 0"),
    ({"options": Options(nms_iou="much")}, "nms_iou is 'much'; it must be a number"),  # type: ignore[arg-type]
    ({"options": Options(peaks=-1)}, "peaks is -1"),
    ({"options": {}}, "give an Options"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_arguments_that_cannot_be_sent_are_search_errors(arguments: dict[str, Any], message: str) -> None:
    asked = {"query": TEXT, **arguments}
    query = asked.pop("query")

    async def run() -> None:
        async with AsyncClient("127.0.0.1:1") as client:
            await client.search(query, **asked)

    with Client("127.0.0.1:1") as client, pytest.raises(spr_client.InvalidInput, match=message):
        client.search(query, **asked)
    with pytest.raises(spr_client.InvalidInput, match=message):
        asyncio.run(run())


def test_one_query_is_no_batch() -> None:
    for queries in ("red", Embedding((1.0,), MODEL), 7):
        with Client("127.0.0.1:1") as client, pytest.raises(spr_client.InvalidInput, match="list of queries"):
            client.search_batch(queries)  # type: ignore[arg-type]


def test_an_endless_timeout_is_none(address: str) -> None:
    with Client(address) as client:
        for timeout in (math.inf, 1e10, None):
            assert client.search(TEXT, timeout=timeout).moments


def test_a_request_that_is_too_large_is_invalid_and_no_overload(address: str) -> None:
    with Client(address) as client, pytest.raises(spr_client.InvalidInput, match="too large") as caught:
        client.search("x" * (5 << 20))
    assert caught.value.reason == "MESSAGE_TOO_LARGE"


@pytest.mark.parametrize("address", ["", "localhost", "localhost:99999", "localhost:http", ":7400", None])
def test_an_address_without_a_port_is_refused(address: Any) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(spr_client.InvalidInput, match="write HOST:PORT"):
            client(address)


def test_a_closed_channel_is_told(address: str) -> None:
    channel = grpc.insecure_channel(address)
    client = Client(channel=channel)
    channel.close()
    with pytest.raises(spr_client.SearchError, match="channel is closed"):
        client.search(TEXT)


def test_a_late_answer_is_a_deadline(service: tuple[str, Cluster]) -> None:
    address, workers = service
    held = workers.rankers[0].encoding
    held.open.clear()
    try:
        with Client(address) as client, pytest.raises((spr_client.DeadlineExceeded, spr_client.Unavailable)):
            client.search("a sentence that nobody has asked before", timeout=0.2)
    finally:
        held.open.set()


@pytest.mark.parametrize("code", [grpc.StatusCode.CANCELLED, grpc.StatusCode.UNAVAILABLE])
def test_a_call_that_a_stopping_coordinator_ends_is_asked_again(code: grpc.StatusCode) -> None:
    with ending(code) as (server, address), Client(address) as client:
        client.search(TEXT)
    assert server.calls == 2

    async def search(address: str) -> None:
        async with AsyncClient(address) as client:
            await client.search(TEXT)

    with ending(code) as (server, address):
        asyncio.run(search(address))
    assert server.calls == 2


def test_what_a_coordinator_refuses_is_told_at_once() -> None:
    with ending(grpc.StatusCode.UNAVAILABLE, refuses=True) as (server, address), Client(address) as client:
        with pytest.raises(spr_client.Unavailable, match="no shard answered"):
            client.search(TEXT)
    assert server.calls == 1
