"""The Python client against a coordinator process over brute-force workers."""

import asyncio
import math
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

import spr_client
from engine.proposals import ProposalRule
from spr_client import AsyncClient, Client, Embedding, Moment, Options, SearchResult, clock
from tests.engine.asking import TEXT, by_hand, rounded
from tests.engine.corpus import DIM, MODEL, RANKER, Corpus, sentence
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import process


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Cluster]]:
    folder = tmp_path_factory.mktemp("service")
    with cluster(folder) as workers, process(workers, folder) as ready:
        yield ready["address"], workers


@pytest.fixture
def address(service: tuple[str, Cluster]) -> str:
    return service[0]


def spans(result: SearchResult) -> list[tuple[str, float, float]]:
    return rounded([(moment.video, moment.start, moment.end) for moment in result.moments])


def test_search_answers_with_plain_values(address: str) -> None:
    with Client(address) as client:
        result = client.search(TEXT, page_size=100, request_id="mine")
    assert spans(result) == rounded(by_hand(Corpus(), TEXT))
    first = result.moments[0]
    assert first.rank == 1
    assert first.refined
    assert first.proposal_start < first.start < first.end < first.proposal_end
    assert first.uri == f"{first.video}.mp4"
    assert (result.ranker, len(result.generation), result.collection) == (RANKER, 21, "default")
    assert (result.request_id, result.refined, result.total) == ("mine", True, len(result.moments))
    assert result.coverage == spr_client.Coverage(2, 2, 12, 12, 1.0)
    assert {"encode", "retrieve", "propose", "rank"} <= set(result.timings)


def test_options_reach_the_server(address: str) -> None:
    with Client(address) as client:
        coarse = client.search(TEXT, page_size=100, options=Options(rerank=False, segment_top_k=5))
        joined = client.search(TEXT, page_size=100, options=Options(constant_gap=9))
        published = Options(rerank=False, segment_top_k=5, adjacent=True)
        runs = client.search(TEXT, page_size=100, options=published)
    assert spans(coarse) == rounded(by_hand(Corpus(), TEXT, 5, refine=False))
    assert spans(runs) == rounded(by_hand(Corpus(), TEXT, 5, refine=False, rule=ProposalRule()))
    assert not coarse.refined
    assert len(joined.moments) == len({moment.video for moment in joined.moments})
    with pytest.raises(spr_client.InvalidInput, match="two rules"), Client(address) as client:
        client.search(TEXT, options=Options(constant_gap=1, peaks=1))


def test_a_vector_is_a_query(address: str) -> None:
    with Client(address) as client:
        result = client.search(Embedding(tuple(sentence(TEXT).tolist()), MODEL), page_size=100)
        with pytest.raises(spr_client.Mismatch):
            client.search(Embedding((1.0,) * DIM, "other"))
    assert spans(result) == rounded(by_hand(Corpus(), TEXT, refine=False))


def test_pages_make_up_the_whole_list(address: str) -> None:
    with Client(address) as client:
        pages = list(client.pages(TEXT, page_size=4))
    assert [len(page.moments) for page in pages[:-1]] == [4] * (len(pages) - 1)
    found = [span for page in pages for span in spans(page)]
    assert found == rounded(by_hand(Corpus(), TEXT))


def test_a_progressive_search_is_coarse_then_refined(address: str) -> None:
    with Client(address) as client:
        coarse, refined = client.search_progressive(TEXT, page_size=100)
    assert (coarse.refined, refined.refined) == (False, True)
    assert spans(refined) == rounded(by_hand(Corpus(), TEXT))


def test_a_batch_holds_answers_and_errors(address: str) -> None:
    with Client(address) as client:
        one, empty = client.search_batch([TEXT, ""], page_size=100)
    assert isinstance(one, SearchResult)
    assert isinstance(empty, spr_client.InvalidInput)
    assert empty.reason == "QUERY_EMPTY"
    assert empty.request_id


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


def test_a_query_that_cannot_be_sent_fails_its_own_entry_of_a_batch(address: str) -> None:
    queries: list[Any] = ["\ud800", TEXT, 7, TEXT, Embedding((float("nan"),) * 3, "")]

    async def run() -> list[Any]:
        async with AsyncClient(address) as client:
            return await client.search_batch(queries)

    with Client(address) as client:
        for entries in (client.search_batch(queries), asyncio.run(run())):
            assert [isinstance(entry, SearchResult) for entry in entries] == [False, True, False, True, False]
            assert [type(entry) for entry in entries[::2]][:2] == [spr_client.InvalidInput] * 2
            assert "UTF-8" in str(entries[0])
        with pytest.raises(spr_client.InvalidInput, match="page_size"):
            client.search_batch([TEXT], page_size="many")  # type: ignore[arg-type]


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


def test_a_closed_channel_is_told(address: str) -> None:
    channel = grpc.insecure_channel(address)
    client = Client(channel=channel)
    channel.close()
    with pytest.raises(spr_client.SearchError, match="channel is closed"):
        client.search(TEXT)


def test_the_client_needs_the_wire_alone() -> None:
    root = Path(spr_client.__file__).parents[3]
    script = f"""
import sys
before = set(sys.modules)
sys.path[:0] = [{str(root / "protos")!r}, {str(root / "clients/python")!r}]
import spr_client
print(*sorted({{name.partition('.')[0] for name in set(sys.modules) - before}} - sys.stdlib_module_names))
"""
    found = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    # grpc imports what it finds of its own family.
    own = re.compile("grpc.*|_?cython.*|google|spr|spr_client|typing_extensions")
    assert not [name for name in found.stdout.split() if not own.fullmatch(name)]


def test_a_late_answer_is_a_deadline(service: tuple[str, Cluster]) -> None:
    address, workers = service
    held = workers.rankers[0].encoding
    held.open.clear()
    try:
        with Client(address) as client, pytest.raises((spr_client.DeadlineExceeded, spr_client.Unavailable)):
            client.search("a sentence that nobody has asked before", timeout=0.2)
    finally:
        held.open.set()


def test_a_borrowed_channel_stays_open(address: str) -> None:
    with grpc.insecure_channel(address) as channel:
        with Client(channel=channel) as client:
            client.search(TEXT)
        with Client(channel=channel) as client:
            assert client.search(TEXT).moments


def test_no_channel_is_opened_before_the_first_search() -> None:
    client = Client("127.0.0.1:1")
    before = set(threading.enumerate())
    client.close()
    assert set(threading.enumerate()) <= before


def test_the_async_client_answers_alike(address: str) -> None:
    async def run() -> tuple[Any, ...]:
        async with AsyncClient(address) as client:
            one = await client.search(TEXT, page_size=100)
            pages = [page async for page in client.pages(TEXT, page_size=4)]
            stages = [result.refined async for result in client.search_progressive(TEXT)]
            batch = await client.search_batch([TEXT, ""])
            with pytest.raises(spr_client.InvalidInput):
                await client.search("")
        async with grpc.aio.insecure_channel(address) as channel, AsyncClient(channel=channel) as borrower:
            await borrower.search(TEXT)
        return one, pages, stages, batch

    one, pages, stages, batch = asyncio.run(run())
    with Client(address) as client:
        assert spans(one) == spans(client.search(TEXT, page_size=100))
    assert [span for page in pages for span in spans(page)] == spans(one)
    assert stages == [False, True]
    assert [type(entry) for entry in batch] == [SearchResult, spr_client.InvalidInput]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0:00"),
        (9.96, "0:10"),
        (65.25, "1:05.2"),
        (599.9, "9:59.9"),
        (3600, "1:00:00"),
        (3725.5, "1:02:05.5"),
    ],
)
def test_times_are_shown_as_clocks(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_a_moment_reads_as_a_place_in_a_video() -> None:
    moment = Moment("cats", 61.0, 65.5, 1, 0.5, True, 0.5, 60.0, 68.0, 2)
    assert str(moment) == "cats 1:01-1:05.5"
    assert moment.duration == 4.5


def test_the_surface_is_what_is_exported() -> None:
    assert all(hasattr(spr_client, name) for name in spr_client.__all__)
