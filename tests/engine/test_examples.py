"""Queries by example through a coordinator: what is asked of the workers, and every kind of answer."""

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc.aio
import pytest

from engine.cost import cost_of
from engine.names import clean, split
from engine.pages import LONGEST, Token
from engine.queries import SearchOptions
from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import rows
from tests.engine.corpus import RANKER
from tests.engine.oracle import Cluster
from tests.engine.running import ask, coordinator, details, refused
from tests.engine.switching import failed


def pictures(*images: str, text: str = "", **fields: Any) -> pb.SearchRequest:
    examples = [pb.Example(image=image.encode()) for image in images]
    return composed(pb.QueryPart(text=text, examples=examples), **fields)


def composed(*parts: pb.QueryPart, **fields: Any) -> pb.SearchRequest:
    params = pb.SearchParams(segment_top_k=30)
    return pb.SearchRequest(composed=pb.ComposedQuery(parts=parts), params=params, **fields)


def clip(video: str, start: int, end: int) -> pb.SearchRequest:
    example = pb.Example(clip=pb.VideoSpan(video_id=video))
    example.clip.span.start_offset.seconds, example.clip.span.end_offset.seconds = start, end
    return composed(pb.QueryPart(examples=[example]))


def test_a_picture_is_answered_in_every_way_alike(shared: Cluster) -> None:
    asked = pictures("a dog", page_size=3)

    async def run() -> None:
        async with coordinator(shared) as (stub, _):
            first = await stub.Search(asked)
            assert first.versions.ranker_model == RANKER
            assert first.next_page_token
            batch = await stub.BatchSearch(pb.BatchSearchRequest(requests=[asked, pictures("bad")]))
            assert rows(batch.entries[0].response) == rows(first)
            assert batch.entries[1].status.message.endswith("the picture is bad; send a good one")
            stages = [(one.stage, rows(one.response)) async for one in stub.ProgressiveSearch(asked)]
            assert [stage for stage, _ in stages] == [1, 2]
            assert stages[1][1] == rows(first)
            video = first.moments[0].video_id
            why = await stub.Explain(pb.ExplainRequest(search=asked, video_id=video))
            assert why.moments[0].rank == 1
            assert why.frames.values

    asyncio.run(run())


def test_the_same_pictures_are_encoded_once(shared: Cluster) -> None:
    async def run() -> None:
        async with coordinator(shared) as (stub, running):
            for text in ("", "runs", ""):
                await stub.Search(pictures("a cat", text=text))
            served = running.collections.first.active
            assert served is not None
            kept = [key for key, _ in served.pipeline.encoder._sentences]
            assert kept.count(f"{served.corpus.id}/examples") == 1

    asyncio.run(run())


@pytest.mark.parametrize("size", [3, 2 * LONGEST], ids=["small", "large"])
def test_pages_of_a_picture_make_up_the_list(shared: Cluster, size: int) -> None:
    asked = pictures("a dog".ljust(size), page_size=100)

    async def run() -> None:
        async with coordinator(shared) as (one, _), coordinator(shared) as (other, _):
            whole = rows(await one.Search(asked))
            asked.page_size = 2
            page = await one.Search(asked)
            further = pb.SearchRequest(page_token=page.next_page_token, page_size=100)
            assert rows(page) + rows(await one.Search(further)) == whole
            # A token has room for small pictures alone.
            assert len(page.next_page_token) <= LONGEST
            if Token.parse(page.next_page_token).request.HasField("composed"):
                assert rows(page) + rows(await other.Search(further)) == whole
            else:
                assert "kept elsewhere" in str(await failed(other.Search(further)))

    asyncio.run(run())


PART = "composed.parts[0]"
WRONG = [
    (composed(), "composed.parts"),
    (
        composed(pb.QueryPart(text="a"), *pictures("bad").composed.parts),
        "composed.parts[1].examples[0].image",
    ),
    (pictures(), f"{PART}.text"),
    (pictures(text=1001 * "x"), f"{PART}.text"),
    (pictures(*11 * ["a"]), f"{PART}.examples"),
    (pictures("a", ""), f"{PART}.examples[1].image"),
    (pictures("bad"), f"{PART}.examples[0].image"),
    (composed(pb.QueryPart(examples=[pb.Example()])), f"{PART}.examples[0]"),
    (composed(pb.QueryPart(text="a", example_weight=float("nan"))), f"{PART}.example_weight"),
    (clip("video-003", 5, 4), f"{PART}.examples[0].clip.span"),
    (clip("video-003", -1, 4), f"{PART}.examples[0].clip.span"),
]


def test_what_cannot_be_asked_names_its_field(shared: Cluster) -> None:
    async def run() -> None:
        async with coordinator(shared) as (stub, _):
            for asked, field in WRONG:
                with pytest.raises(grpc.aio.AioRpcError) as caught:
                    await stub.Search(asked)
                assert caught.value.code().name == "INVALID_ARGUMENT"
                violation = details(caught.value)["BadRequest"].field_violations[0]
                assert violation.field == field
            assert (await failed(stub.Search(clip("nobody", 0, 9))))[1] == "VIDEO_NOT_FOUND"

    asyncio.run(run())


def test_pictures_cost_more_than_a_sentence() -> None:
    usual = SearchOptions()
    plain, shown = pb.SearchRequest(text="a"), pb.SearchRequest(composed=pictures("a", "b").composed)
    assert 1 <= cost_of(plain, usual) < cost_of(shown, usual) < 2


@pytest.mark.parametrize(
    ("text", "rest", "names"),
    [
        ("@Anna opens the door", "opens the door", ["anna"]),
        ("the door is opened by @anna.", "the door is opened by", ["anna"]),
        ("@anna, @ben-2!", "", ["anna", "ben-2"]),
        ("@anna pats @Anna's dog", "pats 's dog", ["anna"]),
        ("write to ben@example.org @ 5", "write to ben@example.org @ 5", []),
        ("@Łukasz dances", "dances", ["łukasz"]),
    ],
)
def test_names_are_read_out_of_a_text(text: str, rest: str, names: Sequence[str]) -> None:
    assert split(text) == (rest, names)
    assert [clean(f"@{name}") for name in names] == names


def test_an_address_is_no_name_and_a_name_that_nobody_gave_is_refused(shared: Cluster) -> None:
    asked = pb.SearchRequest(text="ben@example.org writes")
    assert rows(ask(shared, lambda stub: stub.Search(asked)))
    named = pb.SearchRequest(text="@ben writes")
    code, reason, message = refused(shared, lambda stub: stub.Search(named))
    assert (code, reason) == ("INVALID_ARGUMENT", "BAD_PARAMETER")
    assert "no name '@ben'; name some pictures with `spr corpus name" in message


def test_the_field_of_an_unknown_name_is_told(shared: Cluster) -> None:
    part, named, dog = pb.QueryPart(text="@ben"), pb.Example(name="ben"), pb.Example(image=b"a dog")
    cases = [
        ("text", pb.SearchRequest(text="@ben writes")),
        ("text", pb.SearchRequest(text="is there @ben?", interpret=True)),
        ("composed.parts[1].text", composed(pb.QueryPart(text="a dog"), part)),
        ("composed.parts[0].examples[1].name", composed(pb.QueryPart(examples=[dog, named]))),
        ("composed.parts[0].text", composed(pb.QueryPart(text="@ben", examples=[named] * 10))),
    ]

    async def run() -> None:
        async with coordinator(shared) as (stub, _):
            for field, asked in cases:
                with pytest.raises(grpc.aio.AioRpcError) as failure:
                    await stub.Search(asked)
                (wrong,) = details(failure.value)["BadRequest"].field_violations
                assert wrong.field == field

    asyncio.run(run())


def test_a_long_name_of_no_video_is_cut(shared: Cluster) -> None:
    code, reason, message = refused(shared, lambda stub: stub.Search(clip("n" * 300, 0, 1)))
    assert (code, reason) == ("NOT_FOUND", "VIDEO_NOT_FOUND")
    assert f"'{'n' * 79}…'" in message
