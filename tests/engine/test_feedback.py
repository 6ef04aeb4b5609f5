"""Judgements through the coordinator into the library's file, by the real services."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from spr.v1 import feedback_service_pb2 as pb
from spr.v1.feedback_service_pb2_grpc import FeedbackServiceStub
from spr_client.feedback import Judgement, judgement_to_pb
from tests.engine.library import serve
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import coordinator
from tests.engine.switching import failed
from trainer.library.jobs import Queue
from trainer.library.judgements import stored
from trainer.library.roots import Roots
from trainer.library.service import LibraryServicer

VIDEO = "video-000"


def said(id: str = "", grade: int = 3, **fields: Any) -> pb.Judgement:
    wanted = {"query": "a  red\nball", "video": VIDEO, "span": (0.1, 0.3), **fields}
    return judgement_to_pb(Judgement(id=id, grade=grade, **wanted))


@asynccontextmanager
async def judging(workers: Cluster) -> AsyncIterator[Any]:
    async with (
        coordinator(workers) as (_, running),
        grpc.aio.insecure_channel(running.address) as channel,
    ):
        yield FeedbackServiceStub(channel)


@pytest.fixture
def workers(tmp_path: Path) -> Iterator[Cluster]:
    with (
        cluster(tmp_path) as made,
        closing(Queue(made.topology.collection, made.corpus.name, 3)) as queue,
    ):
        serve(made, LibraryServicer({queue.name: queue}, lambda: None, Roots(None)))
        yield made


def record(*judgements: pb.Judgement) -> pb.RecordJudgementsRequest:
    return pb.RecordJudgementsRequest(judgements=judgements)


def test_what_was_recorded_is_listed_once_and_can_be_forgotten(workers: Cluster) -> None:
    async def run() -> Any:
        async with judging(workers) as stub:
            (first,) = (await stub.RecordJudgements(record(said("one")))).judgements
            (again,) = (await stub.RecordJudgements(record(said("one")))).judgements
            other = await failed(stub.RecordJudgements(record(said("new"), said("one", 1))))
            many = [said(f"n{n}", n % 5, query="another") for n in range(5)]
            await stub.RecordJudgements(record(*many))
            pages, token = list[list[str]](), ""
            while not pages or token:
                page = await stub.ListJudgements(pb.ListJudgementsRequest(page_size=4, page_token=token))
                pages.append([one.id for one in page.judgements])
                token = page.next_page_token
            mine = await stub.ListJudgements(pb.ListJudgementsRequest(query=" a red ball "))
            gone = await stub.DeleteJudgements(pb.DeleteJudgementsRequest(ids=["n0", "n1", "unknown"]))
            return first, again, other, pages, mine.judgements, gone.deleted

    first, again, (code, _, message), pages, mine, gone = asyncio.run(run())
    assert first == again
    assert (first.query, first.grade, first.version) == ("a red ball", 3, workers.corpus.version)
    # All or none: `new` is not kept either.
    assert (code, "'one' is that of another judgement" in message) == ("INVALID_ARGUMENT", True)
    assert pages == [["n4", "n3", "n2", "n1"], ["n0", "one"]]
    assert [one.id for one in mine] == ["one"]
    assert gone == 2
    assert [one.id for one in stored(workers.topology.collection)] == ["one", "n2", "n3", "n4"]


def test_what_no_video_shows_is_refused(workers: Cluster) -> None:
    length = workers.corpus.durations[0]

    async def run() -> Any:
        async with judging(workers) as stub:
            cut = await stub.RecordJudgements(record(said(span=(0.0, length + 0.01))))
            wrong: list[dict[str, Any]] = [
                {"video": "unknown"},
                {"span": (0.3, 0.1)},
                {"span": (0, length + 1)},
            ]
            refused = [await failed(stub.RecordJudgements(record(said(**fields)))) for fields in wrong]
            return cut.judgements[0], refused

    cut, refused = asyncio.run(run())
    end = cut.span.end_offset
    assert end.seconds + end.nanos / 1e9 == pytest.approx(length, abs=1e-6)
    assert [code for code, *_ in refused] == ["NOT_FOUND", "INVALID_ARGUMENT", "INVALID_ARGUMENT"]
    assert f"<= {length:g}, the video's length" in refused[2][2]


def test_without_a_library_nothing_is_acknowledged(tmp_path: Path) -> None:
    async def run(workers: Cluster) -> Any:
        async with judging(workers) as stub:
            return await failed(stub.RecordJudgements(record(said())))

    with cluster(tmp_path) as workers:
        code, reason, message = asyncio.run(run(workers))
    assert (code, reason) == ("UNAVAILABLE", "NO_LIBRARY")
    assert "write [library] into the topology" in message
