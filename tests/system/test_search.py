"""Sentences to moments through coordinator, two index workers and a ranker worker, all real processes."""

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

import spr_client
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from spr_client import Client, Embedding, Options, SearchResult
from tests import numeric
from tests.system.service import Service, alive, running, until, write_topology
from tests.system.world import Oracle
from tests.workers.ranker.factories import TEXTS, WIDTH

SENTENCES = [*TEXTS, "a small green circle hides"]


@pytest.fixture(scope="module")
def service(collection: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that every test leaves whole: one that kills a process waits for the next."""
    folder = tmp_path_factory.mktemp("service")
    topology = write_topology(folder / "topology.toml", collection, shard_timeout=0.5, max_in_flight=3)
    with running(folder / "log.jsonl", str(topology)) as service:
        yield service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[Client]:
    with Client(service.address, retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def oracle(collection: Path) -> Oracle:
    return Oracle(collection)


def whole(client: Client) -> SearchResult | None:
    """Return an answer that lacks nothing, None if there is none yet."""
    try:
        result = client.search(TEXTS[0], page_size=100)
    except spr_client.Unavailable:
        return None
    return None if result.coverage.degraded else result


@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("refine", [True, False], ids=["refined", "coarse"])
def test_equals_one_process_by_brute_force(client: Client, oracle: Oracle, text: str, refine: bool) -> None:
    result = client.search(text, page_size=100, options=Options(segment_top_k=60, rerank=refine))
    expected = oracle.search(text, 60, refine)
    assert [moment.video for moment in result.moments] == [oracle.ids[v] for v in expected.videos]
    spans = [(moment.start, moment.end) for moment in result.moments]
    numeric.close(spans, expected.spans)
    numeric.close([m.score for m in result.moments], expected.scores)
    assert [moment.refined for moment in result.moments] == expected.refined.tolist()
    assert result.ranker == ("similarity-curve" if refine else "")
    assert (result.coverage.videos_searched, result.coverage.ratio) == (9, 1.0)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_is_shown_is_found_first(client: Client, number: int) -> None:
    assert client.search(TEXTS[number]).moments[0].video == f"video-{3 * number}"


def test_pages_make_up_the_whole_list(client: Client) -> None:
    whole = client.search(TEXTS[0], page_size=100)
    pages = list(client.pages(TEXTS[0], page_size=7))
    assert [moment for page in pages for moment in page.moments] == list(whole.moments)
    assert len(pages) > 1


def test_an_unknown_collection_and_a_bad_tensor_are_refused(service: Service, client: Client) -> None:
    with Client(service.address, collection="other") as other, pytest.raises(spr_client.NotFound):
        other.search(TEXTS[0])
    with pytest.raises(spr_client.InvalidInput) as caught:
        client.search(Embedding((1.0,) * (WIDTH + 1), client.search(TEXTS[0]).embedding_model))
    assert caught.value.reason == "TENSOR_SIZE_MISMATCH"
    tensor = types_pb2.Tensor(dtype=types_pb2.DATA_TYPE_FLOAT32, shape=[WIDTH], data=b"short")
    request = pb.SearchRequest(embedding=types_pb2.Embedding(tensor=tensor))
    with grpc.insecure_channel(service.address) as channel, pytest.raises(grpc.RpcError) as failure:
        SearchServiceStub(channel).Search(request, timeout=10)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_stopped_shard_is_late_and_comes_back(service: Service, client: Client) -> None:
    os.kill(pid := service.pid_now("shard-00001"), signal.SIGSTOP)
    try:
        result = client.search(TEXTS[0], page_size=100)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert result.coverage.degraded == ("SHARD_TIMEOUT",)
    assert result.coverage.unreachable == ("shard-00001",)
    assert 0 < result.coverage.videos_searched < 9
    assert all(moment.refined for moment in result.moments)
    assert until(lambda: whole(client)).coverage.ratio == 1.0


def test_searches_beyond_the_limit_are_refused(service: Service, client: Client) -> None:
    ranker = service.pid_now("ranker-0")

    def ask(_: int) -> SearchResult | spr_client.SearchError:
        try:
            return client.search(TEXTS[0], timeout=20)
        except spr_client.SearchError as error:
            if isinstance(error, spr_client.Overloaded):
                os.kill(ranker, signal.SIGCONT)
            return error

    os.kill(ranker, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(ask, range(4)))
    finally:
        os.kill(ranker, signal.SIGCONT)
    refused = [answer for answer in answers if isinstance(answer, spr_client.Overloaded)]
    assert len(refused) == 1
    assert refused[0].reason == "QUEUE_FULL"
    assert refused[0].retry_after
    assert sum(isinstance(answer, SearchResult) for answer in answers) == 3


def test_a_killed_shard_is_missed_and_restarted(service: Service, client: Client) -> None:
    os.kill(pid := service.pid_now("shard-00000"), signal.SIGKILL)
    until(lambda: not alive(pid))
    result = until(lambda: None if whole(client) else client.search(TEXTS[0], page_size=100))
    assert result.coverage.degraded == ("SHARD_UNAVAILABLE",)
    assert result.coverage.unreachable == ("shard-00000",)
    assert until(lambda: whole(client)).coverage.ratio == 1.0
    assert "shard-00000" in service.log.read_text()


def test_a_killed_ranker_costs_words_but_not_vectors_and_is_restarted(
    service: Service, client: Client, oracle: Oracle
) -> None:
    (query,) = oracle.models.encode([TEXTS[0]])
    os.kill(pid := service.pid_now("ranker-0"), signal.SIGKILL)
    until(lambda: not alive(pid))
    with pytest.raises(spr_client.Unavailable) as caught:
        client.search("a sentence that nobody has asked before")
    assert caught.value.reason == "NO_ENCODER"
    result = client.search(Embedding(tuple(query.embedding.tolist()), query.model_id))
    assert result.moments
    assert not result.refined
    assert until(lambda: whole(client)).refined
