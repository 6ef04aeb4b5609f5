import asyncio
import itertools
import logging
from functools import partial
from operator import methodcaller
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine import wire
from engine.config import CoordinatorConfig
from engine.proposals import ProposalRule, propose
from engine.queries import SearchOptions
from engine.servers import NOT_SERVING, SERVING
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from spr.v1.search_service_pb2_grpc import SearchServiceStub
from tests.engine.oracle import DIM, MODEL, RANKER, SEGMENT, Cluster, Corpus, cluster, sentence
from tests.engine.running import ask, coordinator, details, lines_of, refused, written

DEFAULTS = SearchOptions()
TEXT = "a red ball bounces"
Row = tuple[str, float, float]
RULES = pb.ProposalRule


def request(text: str = TEXT, **fields: Any) -> pb.SearchRequest:
    params = fields.pop("params", {})
    return pb.SearchRequest(text=text, params=pb.SearchParams(**params), **fields)


def seconds(span: types_pb2.TimeSpan) -> tuple[float, float]:
    return wire.duration_from_pb(span.start_offset), wire.duration_from_pb(span.end_offset)


def rows(response: pb.SearchResponse) -> list[Row]:
    return [(m.video_id, *seconds(m.span)) for m in response.moments]


def rounded(found: list[Row]) -> list[Row]:
    return [(video, round(start, 6), round(end, 6)) for video, start, end in found]


def by_hand(
    corpus: Corpus, text: str, top_k: int = 400, refine: bool = True, rule: ProposalRule = DEFAULTS.rule
) -> list[Row]:
    """The same search in one process: everything in one shard, sorted by hand."""
    hits = corpus.search(sentence(text), range(corpus.videos), top_k)
    proposals = propose(hits, np.array(corpus.durations), SEGMENT, rule)
    found = []
    for video, span in zip(proposals.videos.tolist(), proposals.spans.tolist(), strict=True):
        start, end, score = corpus.judge(text, video, *span)
        found.append(
            (score, corpus.ids()[video], start, end) if refine else (0.0, corpus.ids()[video], *span)
        )
    return [(video, start, end) for _, video, start, end in sorted(found, key=lambda row: -row[0])]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("refine", [True, False])
def test_equals_one_process_by_brute_force(tmp_path: Path, shards: int, refine: bool) -> None:
    corpus = Corpus(shards=shards)
    params = {"rerank": refine, "segment_top_k": 20}
    with cluster(tmp_path, corpus) as workers:
        response = ask(workers, lambda stub: stub.Search(request(page_size=100, params=params)))
    assert rounded(rows(response)) == rounded(by_hand(corpus, TEXT, 20, refine))
    assert [moment.rank for moment in response.moments] == list(range(1, len(response.moments) + 1))
    assert {moment.provenance.refined for moment in response.moments} == {refine}
    assert response.coverage == types_pb2.Coverage(
        shards_total=shards, shards_answered=shards, videos_total=12, videos_searched=12, ratio=1.0
    )
    assert response.versions.ranker_model == (RANKER if refine else "")
    assert response.versions.generation == corpus.generation
    stages = [timing.stage for timing in response.timings]
    assert stages == ["encode", "retrieve", *(f"shard-{i:05d}" for i in range(shards)), "propose"] + (
        ["rank"] if refine else []
    )


def test_a_moment_says_where_it_came_from(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        response = ask(workers, lambda stub: stub.Search(request(page_size=100)))
    for moment in response.moments:
        start, end = seconds(moment.span)
        proposed = seconds(moment.provenance.proposal_span)
        assert proposed[0] < start < end < proposed[1]
        assert moment.uri == f"{moment.video_id}.mp4"
    ranks = sorted(moment.provenance.proposal_rank for moment in response.moments)
    assert ranks == list(range(1, len(ranks) + 1))


@pytest.mark.parametrize(("uris", "uri"), [("none", ""), ("full", "file:///videos/{}.mp4")])
def test_the_operator_chooses_what_is_told_of_the_files(tmp_path: Path, uris: str, uri: str) -> None:
    with cluster(tmp_path, uris=uris) as workers:
        response = ask(workers, lambda stub: stub.Search(request()))
    assert all(moment.uri == uri.format(moment.video_id) for moment in response.moments)


def test_proposals_beyond_the_limit_follow_unrefined_in_coarse_order(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        response = ask(
            workers, lambda stub: stub.Search(request(page_size=100, params={"proposal_top_k": 3}))
        )
    assert [m.provenance.refined for m in response.moments[:4]] == [True, True, True, False]
    assert [m.provenance.proposal_rank for m in response.moments[3:]] == list(
        range(4, len(response.moments) + 1)
    )
    scores = [m.score for m in response.moments[3:]]
    assert scores == sorted(scores, reverse=True)


def test_overlapping_moments_are_dropped_when_asked(tmp_path: Path) -> None:
    corpus = Corpus()
    params = {"nms_iou": 0.0, "rerank": False}
    with cluster(tmp_path, corpus) as workers:
        response = ask(workers, lambda stub: stub.Search(request(page_size=100, params=params)))
    spans = [(m.video_id, *seconds(m.span)) for m in response.moments]
    for i, (video, start, end) in enumerate(spans):
        assert not any(v == video and s < end and start < e for v, s, e in spans[:i])


def test_the_rule_joins_proposals(tmp_path: Path) -> None:
    rule = pb.ProposalRule(constant_gap=9)
    with cluster(tmp_path) as workers:
        response = ask(
            workers, lambda stub: stub.Search(request(page_size=100, params={"proposal_rule": rule}))
        )
    assert len(response.moments) == len({m.video_id for m in response.moments})


def test_without_a_rule_the_server_chooses_it(tmp_path: Path) -> None:
    published = pb.ProposalRule(adjacent=True)
    peaks = pb.ProposalRule(peaks=0)
    with cluster(tmp_path, segment_top_k=20, proposals="constant:9") as workers:
        for rule, name in ((None, "constant:9"), (published, "adjacent"), (peaks, "peaks:0")):
            asked = request(page_size=100, params={"proposal_rule": rule, "rerank": False})
            response = ask(workers, partial(_search, asked=asked))
            expected = by_hand(workers.corpus, TEXT, 20, False, ProposalRule.parse(name))
            assert rounded(rows(response)) == rounded(expected)


def _search(stub: Any, asked: pb.SearchRequest) -> Any:
    return stub.Search(asked)


def test_a_topology_without_settings_asks_as_searches_do_by_default() -> None:
    config = CoordinatorConfig()
    assert (config.segment_top_k, config.proposal_top_k) == (DEFAULTS.segment_top_k, DEFAULTS.proposal_top_k)
    assert ProposalRule.parse(config.proposals) == DEFAULTS.rule


def test_the_server_chooses_how_much_to_fetch_when_the_caller_does_not(tmp_path: Path) -> None:
    with cluster(tmp_path, segment_top_k=5) as workers:
        response = ask(workers, lambda stub: stub.Search(request(page_size=100)))
    assert rounded(rows(response)) == rounded(by_hand(workers.corpus, TEXT, 5))


def test_a_vector_is_answered_unrefined(tmp_path: Path) -> None:
    embedding = types_pb2.Embedding(tensor=wire.tensor_to_pb(3 * sentence(TEXT)), model_id=MODEL)
    asked = pb.SearchRequest(embedding=embedding, page_size=100)
    corpus = Corpus()
    with cluster(tmp_path, corpus) as workers:
        response = ask(workers, lambda stub: stub.Search(asked))
    assert rounded(rows(response)) == rounded(by_hand(corpus, TEXT, refine=False))
    assert not response.coverage.degraded
    assert response.versions.ranker_model == ""


def test_the_length_of_a_vector_does_not_matter(shared: Cluster) -> None:
    for length in (1e-30, 2e38):
        vector = (sentence(TEXT).astype(np.float64) * length).astype(np.float32)
        asked = embedding_of(vector)
        asked.page_size = 100
        response = ask(shared, partial(_search, asked=asked))
        assert rounded(rows(response)) == rounded(by_hand(shared.corpus, TEXT, refine=False))


def embedding_of(vector: Any, model: str = MODEL) -> pb.SearchRequest:
    tensor = wire.tensor_to_pb(np.asarray(vector, np.float32))
    return pb.SearchRequest(embedding=types_pb2.Embedding(tensor=tensor, model_id=model))


def many_axes() -> pb.SearchRequest:
    tensor = types_pb2.Tensor(dtype=types_pb2.DATA_TYPE_FLOAT32, shape=[2**32 - 1] * 100_000)
    return pb.SearchRequest(embedding=types_pb2.Embedding(tensor=tensor, model_id=MODEL))


def short_tensor() -> pb.SearchRequest:
    asked = embedding_of(np.ones(DIM))
    asked.embedding.tensor.data = asked.embedding.tensor.data[:-1]
    return asked


@pytest.mark.parametrize(
    ("asked", "code", "reason"),
    [
        (request(" "), "INVALID_ARGUMENT", "QUERY_EMPTY"),
        (request("x" * 1001), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(collection="other"), "NOT_FOUND", "COLLECTION_NOT_FOUND"),
        (request(page_size=-1), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(page_token="nonsense"), "INVALID_ARGUMENT", "PAGE_TOKEN_INVALID"),
        (request(request_id="x" * 65), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(request_id="ä"), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(params={"segment_top_k": 0}), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(params={"segment_top_k": 2001}), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(params={"nms_iou": float("nan")}), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (request(params={"min_coverage": 1.1}), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (
            request(params={"proposal_rule": pb.ProposalRule(adaptive_gap=2)}),
            "INVALID_ARGUMENT",
            "BAD_PARAMETER",
        ),
        (
            request(params={"proposal_rule": pb.ProposalRule(constant_gap=0)}),
            "INVALID_ARGUMENT",
            "BAD_PARAMETER",
        ),
        (embedding_of(np.ones(DIM), "other"), "FAILED_PRECONDITION", "MODEL_MISMATCH"),
        (embedding_of(np.ones(DIM + 1)), "INVALID_ARGUMENT", "TENSOR_SIZE_MISMATCH"),
        (embedding_of(np.zeros(DIM)), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (embedding_of(np.full(DIM, np.nan)), "INVALID_ARGUMENT", "BAD_PARAMETER"),
        (short_tensor(), "INVALID_ARGUMENT", "TENSOR_SIZE_MISMATCH"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(
    shared: Cluster, asked: pb.SearchRequest, code: str, reason: str
) -> None:
    assert refused(shared, lambda stub: stub.Search(asked))[:2] == (code, reason)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (request(" "), "text"),
        (request(page_size=-1), "page_size"),
        (request(page_token="a." + "9" * 5000), "page_token"),
        (request(request_id="x" * 65), "request_id"),
        (request(params={"nms_iou": 2}), "params.nms_iou"),
        (
            request(params={"proposal_rule": pb.ProposalRule(constant_gap=0)}),
            "params.proposal_rule.constant_gap",
        ),
        (embedding_of(np.ones(DIM + 1)), "embedding.tensor.shape"),
        (short_tensor(), "embedding.tensor.data"),
        (many_axes(), "embedding.tensor.shape"),
    ],
)
def test_the_field_that_is_wrong_is_named(shared: Cluster, asked: pb.SearchRequest, field: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        ask(shared, lambda stub: stub.Search(asked, timeout=10))
    (violation,) = details(caught.value)["BadRequest"].field_violations
    assert violation.field == field


@pytest.mark.parametrize(
    "asked",
    [
        request(collection="x" * 200_000),
        pb.SearchRequest(
            embedding=types_pb2.Embedding(
                tensor=wire.tensor_to_pb(np.ones(DIM, np.float32)), model_id="\n" * 200_000
            )
        ),
    ],
)
def test_a_long_name_is_quoted_in_part(shared: Cluster, asked: pb.SearchRequest) -> None:
    asked.request_id = "long"
    with written("spr.rpc") as lines:
        code, _, message = refused(shared, lambda stub: stub.Search(asked))
        line = next(lines_of(lines, "long"))
    assert code in ("NOT_FOUND", "FAILED_PRECONDITION")
    assert len(message) < 500
    assert len(line["message"]) < 600


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with cluster(tmp_path_factory.mktemp("shared")) as workers:
        yield workers


@pytest.mark.parametrize("refine", [True, False])
def test_a_query_longer_than_the_encoder_reads_is_told(shared: Cluster, refine: bool) -> None:
    for text, long in ((TEXT, False), (f"{TEXT} " * 3, True), (f"{TEXT} " * 3, True)):
        asked = request(text, params={"rerank": refine})
        search = methodcaller("Search", asked)
        assert ask(shared, search).query_truncated == long


def test_request_ids_are_made_and_echoed(shared: Cluster) -> None:
    given = ask(shared, lambda stub: stub.Search(request(request_id="mine-1")))
    assert given.request_id == "mine-1"
    made = ask(shared, lambda stub: stub.Search(request()))
    assert len(made.request_id) == 32


def test_a_search_leaves_its_line_under_its_own_id(shared: Cluster) -> None:
    batch = pb.BatchSearchRequest(requests=[request(request_id="one"), request(request_id="two")])
    with written("spr.search") as lines, written("spr.rpc", logging.DEBUG) as calls:
        ask(shared, lambda stub: stub.Search(request(request_id="alone")))
        ask(shared, lambda stub: stub.BatchSearch(batch))
        found = list(itertools.islice(lines_of(lines, "alone", "one", "two"), 3))
        alone = next(line for line in lines_of(calls, "alone") if "/Search " in line["message"])
    assert sorted(line["request_id"] for line in found) == ["alone", "one", "two"]
    assert all({"encode", "retrieve", "propose", "rank"} < line["ms"].keys() for line in found)
    assert (alone["request_id"], alone["message"]) == ("alone", "/spr.v1.SearchService/Search OK")


def test_pages_make_up_the_whole_list_and_do_not_shift(shared: Cluster) -> None:
    async def read(stub: Any) -> tuple[pb.SearchResponse, list[Row], str]:
        whole = await stub.Search(request(page_size=1000))
        page = await stub.Search(request(page_size=3))
        found, first = rows(page), page.next_page_token
        while page.next_page_token:
            page = await stub.Search(pb.SearchRequest(page_token=page.next_page_token, page_size=4))
            found += rows(page)
            assert page.moments[-1].rank == len(found)
            assert page.total_moments == whole.total_moments
        await stub.Search(pb.SearchRequest(page_token=first))
        return whole, found, first

    whole, found, _ = ask(shared, read)
    assert found == rows(whole)
    assert len(found) == whole.total_moments > 7


def test_progressive_search_is_coarse_then_refined(shared: Cluster) -> None:
    async def read(stub: Any) -> list[pb.ProgressiveSearchResponse]:
        return [message async for message in stub.ProgressiveSearch(request(page_size=5))]

    coarse, refined = ask(shared, read)
    assert (coarse.stage, refined.stage) == (coarse.STAGE_COARSE, coarse.STAGE_REFINED)
    assert not any(m.provenance.refined for m in coarse.response.moments)
    assert all(m.provenance.refined for m in refined.response.moments)
    assert refined.response == _same_but_times(
        ask(shared, lambda stub: stub.Search(request(page_size=5))), refined.response
    )
    assert not coarse.response.next_page_token


def _same_but_times(response: pb.SearchResponse, other: pb.SearchResponse) -> pb.SearchResponse:
    response.ClearField("timings")
    response.timings.extend(other.timings)
    response.next_page_token, response.request_id = other.next_page_token, other.request_id
    return response


def test_each_query_of_a_batch_has_its_own_status(shared: Cluster) -> None:
    asked = pb.BatchSearchRequest(requests=[request("one", request_id="first"), request(""), request("two")])
    response = ask(shared, lambda stub: stub.BatchSearch(asked))
    kinds = [entry.WhichOneof("result") for entry in response.entries]
    assert kinds == ["response", "status", "response"]
    assert response.entries[0].response.request_id == "first"
    assert response.entries[1].status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert rounded(rows(response.entries[2].response)) == rounded(by_hand(shared.corpus, "two"))[:10]


def test_a_batch_is_bounded(shared: Cluster) -> None:
    asked = pb.BatchSearchRequest(requests=[request()] * 65)
    assert refused(shared, lambda stub: stub.BatchSearch(asked))[0] == "INVALID_ARGUMENT"


def test_an_answer_fits_into_a_message(tmp_path: Path) -> None:
    corpus = Corpus(folder="/" + "x" * 4000)
    asked = pb.BatchSearchRequest(requests=[request(page_size=100)] * 64)
    with cluster(tmp_path, corpus, uris="full") as workers:

        async def run(stub: Any) -> tuple[pb.BatchSearchResponse, list[Row]]:
            batch = await stub.BatchSearch(asked)
            page = batch.entries[63].response
            found = rows(page)
            while page.next_page_token:
                page = await stub.Search(pb.SearchRequest(page_token=page.next_page_token, page_size=100))
                found += rows(page)
            return batch, found

        batch, found = ask(workers, run)
    assert all(0 < len(entry.response.moments) < 100 for entry in batch.entries)
    assert rounded(found) == rounded(by_hand(corpus, TEXT))


def test_the_queries_of_a_batch_take_places_and_leave_some(tmp_path: Path) -> None:
    with cluster(tmp_path, max_in_flight=2) as workers:
        encoding = workers.rankers[0].encoding
        batch = pb.BatchSearchRequest(requests=[request(f"sentence {i}") for i in range(6)])

        async def run(stub: Any) -> tuple[Any, Any, Any]:
            encoding.open.clear()
            many = asyncio.ensure_future(stub.BatchSearch(batch))
            while encoding.calls < 1:
                await asyncio.sleep(0.01)
            one = asyncio.ensure_future(stub.Search(request()))
            while encoding.calls < 2:
                await asyncio.sleep(0.01)
            with pytest.raises(grpc.RpcError) as failure:
                await stub.Search(request())
            assert encoding.calls == 2
            encoding.open.set()
            return await many, await one, failure.value

        answers, single, refusal = ask(workers, run)
    assert [entry.WhichOneof("result") for entry in answers.entries] == ["response"] * 6
    assert single.moments
    assert details(refusal)["ErrorInfo"].reason == "QUEUE_FULL"


def test_a_batch_that_waits_too_long_for_places_says_so(tmp_path: Path) -> None:
    with cluster(tmp_path, max_in_flight=1) as workers:
        encoding = workers.rankers[0].encoding

        async def run(stub: Any) -> Any:
            encoding.open.clear()
            one = asyncio.ensure_future(stub.Search(request()))
            while encoding.calls < 1:
                await asyncio.sleep(0.01)
            answer = await stub.BatchSearch(pb.BatchSearchRequest(requests=[request("other")]), timeout=0.3)
            encoding.open.set()
            await one
            return answer

        (entry,) = ask(workers, run).entries
    assert entry.status.code == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]


def test_a_stream_that_nobody_reads_holds_no_place_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.interceptors.WRITE_PATIENCE", 0.2)
    # The answer is larger than what this reader takes unread.
    corpus = Corpus(folder="/" + "x" * 20_000)
    narrow = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 1024)]

    async def run(workers: Cluster, lines: Any) -> tuple[pb.SearchResponse, str]:
        async with (
            coordinator(workers) as (stub, running),
            grpc.aio.insecure_channel(running.address, narrow) as channel,
        ):
            unread: Any = SearchServiceStub(channel)
            unread = unread.ProgressiveSearch(request(page_size=100, request_id="unread"))
            while workers.rankers[0].ranking.calls < 1:
                await asyncio.sleep(0.01)
            # As one of a batch it waits for its place, until the other is ranked.
            batch = pb.BatchSearchRequest(requests=[request(page_size=1)])
            answer = (await stub.BatchSearch(batch, timeout=10)).entries[0].response
            told = (line["message"] for line in lines_of(lines, "unread"))
            return answer, await asyncio.to_thread(lambda: next(line for line in told if "nobody" in line))

    with cluster(tmp_path, corpus, max_in_flight=1, uris="full") as workers, written("spr.rpc") as lines:
        answer, why = asyncio.run(run(workers, lines))
    assert answer.moments
    assert "nobody read an answer" in why


def test_a_defect_is_not_told_to_the_caller(shared: Cluster) -> None:
    code, reason, message = refused(shared, lambda stub: stub.Search(request("broken", request_id="r-7")))
    assert (code, reason) == ("INTERNAL", "INTERNAL")
    assert "r-7" in message
    assert "secret" not in message


def test_an_empty_generation_answers_with_nothing(tmp_path: Path) -> None:
    with cluster(tmp_path, Corpus(videos=0)) as workers:
        response = ask(workers, lambda stub: stub.Search(request()))
    assert not response.moments
    assert response.coverage.ratio == 1.0


def test_health_follows_the_path_to_an_answer(tmp_path: Path) -> None:
    """Not serving before the first look, serving while a ranker answers, not serving once it is gone."""

    async def run(workers: Cluster) -> list[int]:
        states = []
        async with (
            coordinator(workers) as (_, running),
            grpc.aio.insecure_channel(running.address) as channel,
        ):
            health: Any = health_pb2_grpc.HealthStub(channel)
            asked = health_pb2.HealthCheckRequest(service="spr.v1.SearchService")
            async for state in health.Watch(asked):
                states.append(state.status)
                if states[-1] == SERVING:
                    await asyncio.to_thread(workers.kill, workers.topology.ranker[0].target)
                elif SERVING in states:
                    break
        return states

    with cluster(tmp_path) as workers:
        assert asyncio.run(run(workers))[-2:] == [SERVING, NOT_SERVING]
