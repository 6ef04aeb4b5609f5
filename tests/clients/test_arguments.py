"""What the Python client refuses before anything is sent."""

import asyncio
import math
from typing import Any

import pytest

import spr_client
from spr_client import AsyncClient, Client, Embedding, InvalidInput, Options, Unavailable, channels
from tests.engine.asking import TEXT
from tests.engine.corpus import MODEL

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


@pytest.mark.parametrize("address", ["", "localhost", "localhost:99999", "localhost:http", ":7400", None])
def test_an_address_without_a_port_is_refused(address: Any) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(spr_client.InvalidInput, match="write HOST:PORT"):
            client(address)


def test_several_addresses_become_one_target() -> None:
    assert channels.checked(["localhost:7400", "127.0.0.1:7402"]) == "localhost:7400,127.0.0.1:7402"
    assert channels.target("localhost:7400,127.0.0.1:7402") == "ipv4:127.0.0.1:7400,127.0.0.1:7402"
    assert channels.target("[::1]:7400,[::1]:7402") == "ipv6:[::1]:7400,[::1]:7402"
    assert channels.target("a-name.of:7400") == "a-name.of:7400"  # gRPC looks it up, again and again
    assert channels.target("nobody.invalid:7400,127.0.0.1:7402") == "ipv4:127.0.0.1:7402"
    with pytest.raises(Unavailable, match="no name of it can be resolved"):
        channels.target("nobody.invalid:7400,nobody.invalid:7401")
    for wrong in ([], ["127.0.0.1"], "127.0.0.1:7400,", ["127.0.0.1:1", "unix:/a"], ["127.0.0.1:1", 7]):
        with pytest.raises(InvalidInput):
            Client(wrong)  # type: ignore[arg-type]
