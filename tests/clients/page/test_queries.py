"""Query strings as the service gets them: captured at a server of the generated servicer."""

import asyncio
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import grpc.aio
import pytest
from PIL import Image
from starlette.datastructures import QueryParams

from engine.errors import InvalidInput, NotFound
from spr.v1 import search_service_pb2 as pb
from spr.v1.search_service_pb2_grpc import SearchServiceServicer, add_SearchServiceServicer_to_server
from spr.v1.types_pb2 import CHANNEL_SAID, CHANNEL_SEEN, CHANNEL_WRITTEN, Finding, Moment
from spr_gateway import answers, queries
from spr_gateway.app import Gateway
from spr_gateway.judging import Judging
from spr_gateway.shelf import Shelf
from spr_gateway.upstream import Upstream


class Captured(SearchServiceServicer):
    """Answers with one moment that has all that a moment may have."""

    def __init__(self) -> None:
        self.requests = list[pb.SearchRequest]()

    async def ProgressiveSearch(
        self, request: pb.SearchRequest, context: Any
    ) -> AsyncIterator[pb.ProgressiveSearchResponse]:
        self.requests.append(request)
        moment = Moment(video_id="a", rank=1)
        moment.parts.add().end_offset.FromSeconds(3)
        moment.also_in.add(video_id="b").span.end_offset.FromSeconds(4)
        line = moment.found_by.add(channel=CHANNEL_WRITTEN, method=Finding.METHOD_WORDS, rank=2).line
        line.span.start_offset.FromMilliseconds(1500)
        line.span.end_offset.FromSeconds(3)
        line.pieces.add(text="exit ")
        line.pieces.add(text="RE16", matched=True)
        line.box.left, line.box.top, line.box.right, line.box.bottom = 0.25, 0.5, 0.75, 1.0
        moment.found_by.add(channel=CHANNEL_SEEN, method=Finding.METHOD_MEANING, rank=7, part=1)
        # Of a later service: a channel that this page does not know.
        moment.found_by.add(channel=99, rank=8)
        answer = pb.SearchResponse(moments=[moment], facets=[pb.Facet(label="red", videos=2, moments=3)])
        lift = pb.Interpretation.Lift(words="after 10:00", meaning="from 10:00 on")
        read = pb.Interpretation(text="it stops", not_texts=["a car"], lifts=[lift])
        answer.interpretation.CopyFrom(read)
        yield pb.ProgressiveSearchResponse(stage=pb.ProgressiveSearchResponse.STAGE_REFINED, response=answer)


async def sent(gateway: Gateway, path: str, query: str, body: bytes = b"") -> tuple[int, bytes]:
    """Ask the application as its server would."""
    headers = [(b"host", b"localhost"), (b"content-type", b"image/png")]
    scope = {
        "type": "http", "method": "POST" if body else "GET", "path": path, "raw_path": path.encode(),
        "query_string": query.encode(), "headers": headers, "http_version": "1.1", "root_path": "",
    }  # fmt: skip
    told, given = list[Any](), iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> Any:
        return next(given, None) or await asyncio.Event().wait()

    async def send(message: Any) -> None:
        told.append(message)

    await gateway.app(["localhost"])(scope, receive, send)
    return told[0]["status"], b"".join(message.get("body", b"") for message in told)


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(out, "PNG")
    return out.getvalue()


def test_all_of_a_query_reaches_the_service_and_comes_back(tmp_path: Path) -> None:
    asyncio.run(_all_of_it(tmp_path))


async def _all_of_it(collection: Path) -> None:
    captured, server = Captured(), grpc.aio.server()  # type: ignore[abstract]
    add_SearchServiceServicer_to_server(captured, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    addresses = [f"127.0.0.1:{port}"]
    upstream, judging = Upstream(addresses, "127.0.0.1:1"), Judging(addresses)
    gateway = Gateway(Shelf([collection]), upstream, judging, 1 << 20)
    try:
        status, body = await sent(gateway, "/api/examples", "", png())
        assert status == 201
        picture = json.loads(body)["id"]
        query = [
            ("q", "a ball"), ("then", "it stops"), ("within", "4.5"), ("not", "a car"), ("img", picture),
            ("like", "films/a@b@1.5-3"), ("label", "red"), ("label", "round, flat"), ("nolabel", "old"),
            ("folder", "news"), ("after", "2024-01-02"), ("from", "50%"), ("shorter", "90"), ("id", "a"),
            ("group", "1"), ("pervideo", "2"), ("collection", "films"), ("in", "written"), ("in", "said"),
        ]  # fmt: skip
        status, body = await sent(gateway, "/api/search", urlencode(query))
        assert status == 200
        _check(captured.requests[0])
        [moment] = (answer := json.loads(body))["moments"]
        assert (moment["parts"], moment["also"]) == ([[0.0, 3.0]], [{"video": "b", "span": [0.0, 4.0]}])
        line = {"start": 1.5, "end": 3.0, "pieces": [["exit ", False], ["RE16", True]]}
        assert moment["foundBy"] == [
            {"channel": "written", "method": "words", "rank": 2, "part": 0,
             "line": {**line, "box": [0.25, 0.5, 0.75, 1.0]}},
            {"channel": "seen", "method": "meaning", "rank": 7, "part": 1, "line": None},
        ]  # fmt: skip
        assert answer["facets"] == [{"label": "red", "videos": 2}]
        assert answer["interpretation"] == {
            "text": "it stops", "then": [], "not": ["a car"],
            "lifts": [{"words": "after 10:00", "meaning": "from 10:00 on"}],
        }  # fmt: skip
        assert (await sent(gateway, "/api/examples", "", b"no picture"))[0] == 400
    finally:
        await gateway.close()
        await server.stop(None)


def _check(request: pb.SearchRequest) -> None:
    first, second = request.composed.parts
    assert (first.text, second.text, list(first.not_texts)) == ("a ball", "it stops", ["a car"])
    assert request.composed.within.ToMilliseconds() == 4500
    image, clip = first.examples
    assert image.image == png()
    assert clip.clip.video_id == "films/a@b"
    assert clip.clip.span.start_offset.ToMilliseconds() == 1500
    wanted = request.filter
    assert (list(wanted.any_labels), list(wanted.no_labels)) == (["red", "round, flat"], ["old"])
    assert (wanted.folder, list(wanted.video_ids), wanted.share.start) == ("news", ["a"], 0.5)
    assert (wanted.from_date.ToJsonString(), wanted.max_duration.seconds) == ("2024-01-02T00:00:00Z", 90)
    params = request.params
    assert (params.per_video, params.group_by, params.facets) == (2, pb.GROUP_BY_VIDEO, True)
    assert params.merge_duplicates
    assert list(params.channels) == [CHANNEL_SAID, CHANNEL_WRITTEN]
    assert request.collection == "films"


def test_an_explanation_names_the_list_of_each_segment() -> None:
    sent = pb.ExplainResponse(segments=[pb.RetrievedSegment(rank=3)], moments=[Moment(video_id="a")])
    sent.segments.add(channel=CHANNEL_SAID, method=Finding.METHOD_WORDS, rank=1)
    sent.moments[0].found_by.add(channel=CHANNEL_SEEN, rank=4)
    why = answers.explanation(sent)
    told = [(one["channel"], one["method"], one["rank"]) for one in why["segments"]]
    # A service that searches pictures alone names no list.
    assert told == [("seen", "meaning", 3), ("said", "words", 1)]
    assert [one["rank"] for one in why["moments"][0]["foundBy"]] == [4]


def no_picture(name: str) -> bytes:
    raise NotFound(f"{name} is not kept", "EXAMPLE_GONE")


def test_a_sentence_alone_is_read_for_more_than_a_description() -> None:
    request = queries.request_of(QueryParams("q=a+dog+after+10:00&literal=after+10:00"), no_picture, 5)
    assert (request.text, request.interpret, list(request.literal_words), request.page_size) == (
        "a dog after 10:00", True, ["after 10:00"], 5,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("label=red", "the query is empty"),
        ("not=a+car", "the query is empty"),
        ("q=x&like=a", "write VIDEO@START-END"),
        ("q=x&like=a@5-4", "write VIDEO@START-END"),
        ("q=x&img=gone", "gone is not kept"),
        ("q=x" + "&then=y" * 5, "at most 4"),
        ("q=x&after=soon", "must be a date"),
        ("q=x&from=110%25", "number from 0 to 100"),
        ("q=x&in=heard", "in is 'heard'; write seen, said or written"),
        ("q=x&longer=long", "longer is 'long'"),
        ("q=x&longer=9&shorter=8", "longer is '9' and shorter '8': nothing lies between them"),
        ("q=x&after=2024-05-02&before=2024-05-01", "after is '2024-05-02' and before '2024-05-01': nothing"),
        ("q=x&from=90%25&to=10%25", "from is '90%' and to '10%': nothing lies between them"),
        ("q=x&from=9&to=9", "from is '9' and to '9': nothing lies between them"),
        ("q=x&" + "&".join(["like=a@1-2"] * 11), "at most 10"),
    ],
)
def test_what_is_no_query_is_refused_in_a_sentence(query: str, said: str) -> None:
    with pytest.raises((InvalidInput, NotFound), match=said):
        queries.request_of(QueryParams(query), no_picture, 5)
