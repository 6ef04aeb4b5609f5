"""What the Python client refuses before anything is sent."""

import asyncio
import math
from datetime import datetime, timedelta, timezone
from fractions import Fraction
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

import spr_client
from spr.v1.feedback_service_pb2 import ListJudgementsRequest
from spr_client import (
    AsyncClient,
    Client,
    Composed,
    Embedding,
    Filter,
    InvalidInput,
    Options,
    Part,
    Unavailable,
    channels,
)
from spr_client.feedback import Feedback
from spr_client.translate_filter import filter_to_pb
from tests.engine.asking import TEXT
from tests.engine.corpus import MODEL

LAST_MOMENT = datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))
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
    ({"options": Options(literal_words=["red\udcff"])}, "literal_words is .* list of texts in Unicode"),
    ({"options": Options(literal_words="red")}, "literal_words is 'red'"),
    ({"options": Options(filter=Filter(labels=["red\udcff"]))}, "labels is .* in Unicode"),
    ({"options": Options(filter=Filter(folder="a\udcff"))}, "folder is 'a.*UTF-8"),
    (
        {"options": Options(filter=Filter(longer=1e300))},
        "longer is 1e.300; give seconds, 0 or more, at most 1e.11",
    ),
    ({"options": Options(filter=Filter(before=LAST_MOMENT))}, "years 1 to 9999"),
    ({"query": Composed(parts=[Part("a"), Part("b")], within=1e300)}, "within is 1e.300"),
    ({"query": Part("a", without=[7])}, "without is .7.; give a list"),  # type: ignore[list-item]
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


@pytest.mark.parametrize(
    "address",
    ["", "localhost", "localhost:99999", "localhost:http", "http://a:7400", ":7400", "a\udcff:1", None],
)
def test_an_address_without_a_port_is_refused(address: Any) -> None:
    for client in (Client, AsyncClient):
        with pytest.raises(spr_client.InvalidInput, match="write HOST:PORT"):
            client(address)


@pytest.mark.parametrize("shown", [{"tls": "authority.pem"}, {"token": 7}])
def test_what_is_no_tls_and_no_token_is_refused(shown: dict[str, Any]) -> None:
    with pytest.raises(spr_client.InvalidInput, match="give a Tls, and a text or a Path"):
        Client(**shown)


def test_feedback_refuses_what_cannot_be_sent() -> None:
    with Feedback("127.0.0.1:1") as feedback:
        for call in (
            lambda: feedback.delete("abc"),
            lambda: feedback.delete(["a\udcff"]),
            lambda: feedback.delete(["a"], timeout=0),
            lambda: feedback.record([], timeout=math.nan),
            lambda: feedback.record(None),  # type: ignore[arg-type]
            lambda: feedback.record([{"grade": 3}]),  # type: ignore[list-item]
            lambda: next(feedback.judgements(query="a\udcff")),
            lambda: next(feedback.judgements(timeout=-1)),
        ):
            with pytest.raises(InvalidInput):
                call()


def test_what_is_left_out_may_be_none(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = None
    assert filter_to_pb(Filter(folder=nothing)) == filter_to_pb(Filter())
    asked: list[Any] = []
    with Feedback("127.0.0.1:1", collection=nothing) as feedback:
        service = Mock(ListJudgements=lambda request, **_: asked.append(request))
        monkeypatch.setattr("spr_client.feedback.FeedbackServiceStub", lambda _: service)
        with pytest.raises(AttributeError):
            next(feedback.judgements(query=nothing, video=nothing))
    assert asked == [ListJudgementsRequest(page_size=1000)]


@pytest.mark.parametrize("seconds", [np.float32(1.5), Fraction(3, 2)])
def test_any_real_number_is_a_time(seconds: Any) -> None:
    assert filter_to_pb(Filter(longer=seconds)) == filter_to_pb(Filter(longer=1.5))


def test_several_addresses_become_one_target() -> None:
    assert channels.checked(["localhost:7400", "127.0.0.1:7402"]) == "localhost:7400,127.0.0.1:7402"
    assert channels.target("localhost:7400,127.0.0.1:7402") == "ipv4:127.0.0.1:7400,127.0.0.1:7402"
    assert channels.target("[::1]:7400,[::1]:7402") == "ipv6:[::1]:7400,[::1]:7402"
    assert channels.target("a-name.of:7400") == "a-name.of:7400"  # gRPC looks it up, again and again
    assert channels.target("nobody.invalid:7400,127.0.0.1:7402") == "ipv4:127.0.0.1:7402"
    with pytest.raises(Unavailable, match="no name of it can be resolved"):
        channels.target("nobody.invalid:7400,nobody.invalid:7401")
    for wrong in (
        [],
        ["127.0.0.1"],
        "127.0.0.1:7400,",
        "http://a:7400",
        ["127.0.0.1:1", "unix:/a"],
        ["127.0.0.1:1", 7],
    ):
        with pytest.raises(InvalidInput):
            Client(wrong)  # type: ignore[arg-type]
