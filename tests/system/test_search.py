"""Sentences to moments through coordinator, two index workers and a ranker worker, all real processes."""

import io
import os
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
from av.video.frame import VideoFrame
from PIL import Image

import spr_client
from engine import faults, names
from engine.names import NameEntry, NamesFile
from engine.types import Floats, Moments
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from spr_client import Client, Clip, Embedding, Options, Part, SearchResult
from spr_client.translate import request_to_pb
from tests import numeric
from tests.system.service import Service, alive, until
from tests.system.spoken import Spoken
from tests.system.world import Oracle
from tests.workers.ranker.factories import TEXTS, WIDTH
from workers.ranker.encoder.encoder import Encoder
from workers.upright import upright

SENTENCES = [*TEXTS, "a small green circle hides"]


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


@pytest.mark.parametrize("query", ["the minister in London", "RE16", "zuruck", "xylophone"])
def test_what_is_said_and_written_is_found(service: Service, spoken: Spoken, query: str) -> None:
    with Client(service.address, collection="spoken") as client:
        result = client.search(query, page_size=100, options=Options(channels=["said", "written"]))
        everywhere = client.search(query, page_size=100).moments
    numeric.close([(int(m.video[-1]), m.start, m.end, m.score) for m in everywhere], spoken.evaluated(query))
    lists = {channel: spoken.found(channel, query) for channel in ("said", "written")}
    assert bool(result.moments) == any(lists.values())
    for moment in result.moments:
        by_words = [one for one in moment.found_by if one.method == "words"]
        assert {one.channel: one.rank for one in by_words} == spoken.ranks(moment, lists)
        for one in by_words:
            assert str(one.line) in spoken.texts[one.channel][lists[one.channel][one.rank]].split("\n")
            assert one.line is not None
            assert any(piece.matched for piece in one.line.pieces)
            assert (one.line.box is None) == (one.channel == "said")


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_is_shown_is_found_first(client: Client, number: int) -> None:
    assert client.search(TEXTS[number]).moments[0].video == f"video-{3 * number}"


@pytest.fixture(scope="module")
def pictures() -> list[bytes]:
    random, files = np.random.default_rng(5), []
    for kind in ("PNG", "WEBP"):
        out = io.BytesIO()
        noise = random.integers(0, 256, (24, 40, 3), np.uint8)
        Image.fromarray(noise).save(out, kind, lossless=True)
        files.append(out.getvalue())
    return files


def same(result: SearchResult, expected: Moments, oracle: Oracle) -> None:
    assert [moment.video for moment in result.moments] == [oracle.ids[v] for v in expected.videos]
    numeric.close([(moment.start, moment.end) for moment in result.moments], expected.spans)
    numeric.close([moment.score for moment in result.moments], expected.scores)
    assert result.ranker == "similarity-curve"


def seen(oracle: Oracle, files: Sequence[bytes]) -> list[Floats]:
    """Return the frames of picture files, as ingest would encode them."""
    encoder = oracle.models.encoder
    assert isinstance(encoder, Encoder)
    frames = [VideoFrame.from_ndarray(np.asarray(Image.open(io.BytesIO(data))), "rgb24") for data in files]
    return [encoder.images(upright(frame, encoder.frame_edge)[None]) for frame in frames]


def test_examples_equal_one_process_by_brute_force(
    client: Client, oracle: Oracle, pictures: list[bytes]
) -> None:
    everything = Options(segment_top_k=400, proposal_top_k=400)

    def found(part: Part) -> SearchResult:
        return client.search(part, page_size=100, options=everything)

    shown = seen(oracle, pictures)
    same(found(Part(images=pictures)), oracle.shown(shown), oracle)
    clip, rows = Clip("video-3", 4.0, 12.5), oracle.frames[3][4:13]
    result = found(Part(like=[clip]))
    same(result, oracle.shown([rows]), oracle)
    assert result.moments[0].video == "video-3"
    same(
        found(Part("something spins", [pictures[0]], [clip])),
        oracle.shown([shown[0], rows], TEXTS[2]),
        oracle,
    )
    light = Part("something spins", [pictures[0]], weight=0.2)
    same(found(light), oracle.shown([shown[0]], TEXTS[2], 0.2), oracle)


def test_a_name_is_used_as_soon_as_it_is_given(
    collection: Path, client: Client, oracle: Oracle, pictures: list[bytes]
) -> None:
    with pytest.raises(spr_client.InvalidInput, match="no name '@anna'; name some pictures with `spr corpus"):
        client.search("@anna spins")
    row = seen(oracle, pictures[:1])[0]
    fingerprint = oracle.models.encoder.fingerprint
    try:
        names.write(collection, NamesFile({"anna": NameEntry.of(fingerprint, row)}))
        by_text = client.search("@Anna something spins", page_size=100)
        same(by_text, oracle.shown([row], TEXTS[2]), oracle)
        assert by_text.moments == client.search(Part(TEXTS[2], names=["anna"]), page_size=100).moments
        with pytest.raises(spr_client.InvalidInput, match="no name '@ben'; it has @anna"):
            client.search("@anna and @ben")
        names.write(collection, NamesFile({"anna": NameEntry.of("another", row)}))
        with pytest.raises(spr_client.Mismatch, match="name its pictures again"):
            client.search("@anna")
    finally:
        (collection / names.FILE).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("part", "words", "field"),
    [
        (Part(images=[b"GIF89a nothing"]), "whole JPEG, PNG or WebP", "image"),
        (Part(like=[Clip("video-3", 4000.0)]), "begins at 4000 s", "clip.span"),
    ],
)
def test_an_example_that_cannot_be_used_is_named(
    service: Service, part: Part, words: str, field: str
) -> None:
    with grpc.insecure_channel(service.address) as channel, pytest.raises(grpc.RpcError) as failure:
        SearchServiceStub(channel).Search(request_to_pb(part, Options()), timeout=10)
    assert failure.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert words in str(failure.value.details())
    assert faults.field_of(failure.value) == f"composed.parts[0].examples[0].{field}"


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
