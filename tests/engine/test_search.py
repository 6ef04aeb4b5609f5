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
from engine.proposals import ProposalRule
from engine.servers import NOT_SERVING, SERVING
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import DEFAULTS, TEXT, Row, by_hand, embedding_of, request, rounded, rows, seconds
from tests.engine.corpus import MODEL, RANKER, Corpus, sentence
from tests.engine.films import look
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask, coordinator, lines_of, stages, written


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
    assert response.versions.generation == corpus.version
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


def test_an_empty_version_answers_with_nothing(tmp_path: Path) -> None:
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


def test_videos_that_show_the_same_are_found_once_on_every_page(tmp_path: Path) -> None:
    corpus = Corpus(videos=6, shards=2)
    for video in (4, 5):
        corpus.vectors[video], corpus.durations[video] = corpus.vectors[0], corpus.durations[0]
    corpus.looks = {video: look(1, 1, 40) for video in (0, 4, 5)}
    every = request(page_size=100)
    once = request(page_size=2, params={"merge_duplicates": True})
    with cluster(tmp_path, corpus) as workers:
        found = ask(workers, lambda stub: stub.Search(every)).moments
        page = ask(workers, lambda stub: stub.Search(once))
        shown = list(page.moments)
        while page.next_page_token:
            token = pb.SearchRequest(page_token=page.next_page_token, page_size=2)
            page = ask(workers, methodcaller("Search", token))
            shown += page.moments
        whole = request(page_size=100, params={"merge_duplicates": True})
        coarse, refined = ask(workers, lambda stub: stages(stub, whole))
    assert list(refined.moments) == shown
    assert any(moment.also_in for moment in coarse.moments)
    same = [moment for moment in shown if moment.also_in]
    assert same
    assert all(len(moment.also_in) == 2 for moment in same)
    assert not any(moment.also_in for moment in found)
    assert page.total_moments == len(shown) == len(found) - 2 * len(same)
    told = [(m.video_id, *seconds(m.span)) for m in shown]
    told += [(m.video_id, *seconds(m.span)) for moment in shown for m in moment.also_in]
    assert sorted(told) == sorted((m.video_id, *seconds(m.span)) for m in found)
    assert [moment.rank for moment in shown] == list(range(1, len(shown) + 1))
