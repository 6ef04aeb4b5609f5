"""Queries of several parts and negative texts through the whole engine, against brute force."""

import itertools
from dataclasses import replace
from typing import Any

import grpc
import numpy as np
from google.protobuf.json_format import ParseDict

from engine import merge, negatives, temporal
from engine.entries import TextsEntry
from engine.negatives import best_within, lessened
from engine.proposals import propose
from engine.sequences import Candidates, log_probabilities
from engine.types import Hits, Proposals, Ranked
from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import DEFAULTS, rounded, rows, seconds
from tests.engine.corpus import SEGMENT, Corpus, sentence
from tests.engine.oracle import Cluster
from tests.engine.running import ask
from tests.engine.test_sequences import brute
from tests.numeric import close

A, B, C = "a red ball bounces", "something spins", "two shapes meet"
Spans = tuple[tuple[float, float], ...]
Found = tuple[str, Spans]


def composed(*texts: str, within: str = "", params: dict[str, Any] | None = None, **fields: Any) -> Any:
    query: dict[str, Any] = {"parts": [{"text": text} for text in texts]}
    if within:
        query["within"] = within
    fields.setdefault("page_size", 100)
    return ParseDict({"composed": query, "params": params or {}, **fields}, pb.SearchRequest())


def search(workers: Cluster, asked: pb.SearchRequest) -> pb.SearchResponse:
    answer: pb.SearchResponse = ask(workers, lambda stub: stub.Search(asked))
    return answer


def chains(response: pb.SearchResponse) -> list[Found]:
    def spans(moment: Any) -> Spans:
        return tuple((round(s, 6), round(e, 6)) for s, e in map(seconds, moment.parts))

    return [(moment.video_id, spans(moment)) for moment in response.moments]


def hits_by_hand(corpus: Corpus, texts: tuple[str, ...], top_k: int) -> list[Hits]:
    """What is retrieved for each text: of all videos, and of those where only others were found."""
    everything = range(corpus.videos)
    first = [corpus.search(sentence(text), everything, top_k) for text in texts]
    anywhere = {int(video) for hits in first for video in hits.videos}
    found = []
    for text, hits in zip(texts, first, strict=True):
        missing = sorted(anywhere - set(hits.videos.tolist()))
        more = corpus.search(sentence(text), missing, top_k)
        found.append(merge.top_k([hits, more], 2 * top_k))
    return found


def by_hand(corpus: Corpus, *texts: str, within: float = 30.0, top_k: int = 200) -> list[Found]:
    """Every part refined and scored, and all chains there are, best first."""
    parts = []
    for text, hits in zip(texts, hits_by_hand(corpus, texts, top_k), strict=True):
        proposals = propose(hits, np.array(corpus.durations), SEGMENT, DEFAULTS.rule)
        judged = np.array(
            [
                corpus.judge(text, video, *span)
                for video, span in zip(proposals.videos.tolist(), proposals.spans.tolist(), strict=True)
            ]
        )
        # What shares its video with none of another part is never ranked.
        parts.append((proposals.videos, judged))
    common = set.intersection(*(set(videos.tolist()) for videos, _ in parts))
    candidates = []
    for videos, judged in parts:
        there = np.flatnonzero(np.isin(videos, list(common)))
        order = there[np.argsort(-judged[there, 2], kind="stable")]
        kept = temporal.suppress(videos[order], judged[order, :2], 0.5)
        logs = log_probabilities(None, judged[order, 2])
        candidates.append(Candidates(videos[order], judged[order, :2], logs).of(kept))
    found = brute(candidates, within)
    ids = corpus.ids()
    return [
        (
            ids[candidates[0].videos[chain[0]]],
            tuple(
                (round(s, 6), round(e, 6))
                for s, e in (part.spans[row].tolist() for part, row in zip(candidates, chain, strict=True))
            ),
        )
        for _, chain in found
    ]


def batch(workers: Cluster, asked: list[pb.SearchRequest]) -> list[Any]:
    answer = ask(workers, lambda stub: stub.BatchSearch(pb.BatchSearchRequest(requests=asked)))
    return list(answer.entries)


def test_chains_are_those_of_brute_force(shared: Cluster) -> None:
    cases = list(itertools.product([(A, B), (B, A), (A, B, C)], [4.0, 30.0]))
    entries = batch(shared, [composed(*texts, within=f"{within:g}s") for texts, within in cases])
    for (texts, within), entry in zip(cases, entries, strict=True):
        found = entry.response
        assert chains(found) == by_hand(shared.corpus, *texts, within=within)
        assert found.moments
        for moment in found.moments:
            spans = [seconds(part) for part in moment.parts]
            assert seconds(moment.span) == (min(s for s, _ in spans), max(e for _, e in spans))
            assert moment.provenance.refined
        assert [moment.rank for moment in found.moments] == list(range(1, len(found.moments) + 1))
        assert found.coverage.ratio == 1


def test_a_part_that_is_rare_has_its_chance_where_the_other_was_found(shared: Cluster) -> None:
    found = search(shared, composed(A, B, params={"segment_top_k": 3}))
    assert chains(found) == by_hand(shared.corpus, A, B, top_k=3)
    first = [set(shared.corpus.search(sentence(text), range(12), 3).videos.tolist()) for text in (A, B)]
    numbers = {shared.corpus.ids().index(video) for video, _ in chains(found)}
    assert numbers - (first[0] & first[1]), "chains in videos where one part was not among the best"


def test_the_coarse_list_comes_first_and_is_all_without_the_ranker(shared: Cluster) -> None:
    async def progress(stub: Any) -> list[Any]:
        return [message async for message in stub.ProgressiveSearch(composed(A, B))]

    coarse, refined = ask(shared, progress)
    assert chains(refined.response) == by_hand(shared.corpus, A, B)
    assert chains(search(shared, composed(A, B, params={"rerank": False}))) == chains(coarse.response)
    assert coarse.response.moments
    for moment in coarse.response.moments:
        (a, _), (b, _) = map(seconds, moment.parts)
        assert a < b
        assert not moment.provenance.refined


def test_pages_filters_and_batches_work_with_parts(shared: Cluster) -> None:
    whole = search(shared, composed(A, B))
    first = search(shared, composed(A, B, page_size=2))
    # Every `ask` has a coordinator of its own: the rest is searched anew.
    rest = search(shared, pb.SearchRequest(page_token=first.next_page_token, page_size=100))
    assert chains(whole) == chains(first) + chains(rest)
    video = whole.moments[0].video_id
    one = composed(A, B, filter={"video_ids": [video]}, params={"per_video": 1})
    half = composed(A, B, filter={"share": {"end": 0.5}})
    entries = batch(shared, [one, half, composed("")])
    assert [found for found, _ in chains(entries[0].response)] == [video]
    durations = dict(zip(shared.corpus.ids(), shared.corpus.durations, strict=True))
    for found, spans in chains(entries[1].response):
        assert all(end <= durations[found] / 2 + 1e-6 for _, end in spans)
    assert "composed.parts[0].text is empty" in entries[2].status.message


def test_explains_where_the_parts_lie(shared: Cluster) -> None:
    whole = search(shared, composed(A, B))
    video = whole.moments[0].video_id
    explained = ask(
        shared, lambda stub: stub.Explain(pb.ExplainRequest(search=composed(A, B), video_id=video))
    )
    own = [moment for moment in whole.moments if moment.video_id == video]
    assert [list(moment.parts) for moment in explained.moments] == [list(moment.parts) for moment in own]
    assert explained.segments
    assert explained.frames.values


def test_what_is_negated_sinks(shared: Cluster) -> None:
    """The oracle has no confidences: the difference of relevances orders."""
    corpus = shared.corpus
    query = {"parts": [{"text": A, "not_texts": [B, C]}]}
    asked = ParseDict({"composed": query, "page_size": 100}, pb.SearchRequest())
    expected = []
    plain = search(shared, composed(A))
    for moment in plain.moments:
        number, span = corpus.ids().index(moment.video_id), seconds(moment.span)
        shown = max(corpus.judge(text, number, *span)[2] for text in (B, C))
        expected.append((moment.score - shown, moment.video_id, *span))
    expected.sort(key=lambda row: -row[0])
    found = search(shared, asked)
    assert rounded(rows(found)) == rounded([(video, start, end) for _, video, start, end in expected])
    assert rows(found) != rows(plain)


def ranked(spans: list[list[float]], sure: list[float]) -> Ranked:
    n = len(spans)
    columns = (np.array(spans), np.array(sure), np.zeros(n, np.float32), np.ones(n, bool))
    return Ranked("r", *columns, np.array(sure, np.float32), 0.5)


def test_confidence_is_lessened_by_what_is_shown_within_the_moment() -> None:
    spans = [[0.0, 10.0], [0.0, 10.0], [0.0, 10.0], [0.0, 10.0]]
    before = ranked(spans, [0.9, 0.8, 0.7, 0.6])
    # Shown for sure; shown half; shown beside the moment, not in it; not shown.
    negative = ranked([[2.0, 4.0], [5.0, 15.0], [10.0, 14.0], [0.0, 10.0]], [1.0, 0.8, 1.0, 0.0])
    after = lessened(before, [negative])
    assert after.confidences is not None
    close(after.confidences, [0.0, 0.8 * 0.6, 0.7, 0.6], 1e-6)
    assert np.argsort(-after.scores).tolist() == [2, 3, 1, 0]
    # What probably shows it comes after all others, however well it fits.
    likely = lessened(ranked(spans[:2], [0.99, 0.01]), [ranked(spans[:2], [0.6, 0.0])])
    assert np.argsort(-likely.scores).tolist() == [1, 0]


def test_what_probably_shows_a_negative_stays_last_whatever_texts_say() -> None:
    spans = np.array([[0.0, 10.0]] * 4)
    before = ranked(spans.tolist(), [0.9, 0.8, 0.7, 0.6])
    less = lessened(before, [ranked(spans.tolist(), [0.9, 0.0, 0.0, 0.0])])
    texts = np.zeros((4, 4), np.float32)
    texts[[0, 3], 0] = 0.9, 0.8
    # The second and the third overlap: the worse one comes after all that does not show the negative.
    videos, at = np.array([0, 1, 1, 2], np.int32), np.zeros(4, np.int32)
    proposals = Proposals(videos, spans, at, at.astype(np.float32), texts=texts)
    after = negatives.with_texts(less, proposals, TextsEntry("0" * 64))
    assert np.argsort(-after.scores).tolist() == [3, 1, 2, 0]
    assert after.confidences is None
    assert negatives.with_texts(less, replace(proposals, texts=None), TextsEntry("0" * 64)) is less


def test_a_moment_has_the_score_of_its_own_best_segment() -> None:
    hits = Hits(np.array([1, 0, 1], np.int32), np.array([0, 1, 2], np.int32), np.array([0.9, 0.5, 0.2], "f4"))
    spans = np.array([[0.0, 3.0], [2.0, 4.0], [3.9, 9.0], [0.0, 9.0]])
    moments = Proposals(np.array([1, 1, 0, 2], np.int32), spans, np.zeros(4, np.int32), np.zeros(4, "f4"))
    close(best_within(hits, moments, 4.0), [0.9, 0.9, 0.5, 0.0], 1e-6)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"parts": []}, "no parts"),
    ({"parts": [{"text": A}] * 6}, "6 parts; send at most 5"),
    ({"parts": [{"text": A}, {"text": " "}]}, "composed.parts[1].text is empty"),
    ({"parts": [{"text": "x" * 1001}]}, "1001 characters"),
    ({"parts": [{"text": A, "not_texts": [B] * 6}]}, "6 texts; send at most 5"),
    ({"parts": [{"text": A, "not_texts": [""]}]}, "not_texts[0] is empty"),
    ({"parts": [{"text": A}], "within": "-1s"}, "within is -1 s"),
    ({"parts": [{"text": A, "examples": [{"name": "anna"}]}]}, "no name '@anna'"),
]


def test_what_cannot_be_asked_is_refused_in_a_sentence(shared: Cluster) -> None:
    unranked = {"parts": [{"text": A, "not_texts": [B]}]}
    asked = [ParseDict({"composed": query}, pb.SearchRequest()) for query, _ in REFUSED]
    asked.append(ParseDict({"composed": unranked, "params": {"rerank": False}}, pb.SearchRequest()))
    expected = [*(said for _, said in REFUSED), "leave rerank on"]
    for entry, said in zip(batch(shared, asked), expected, strict=True):
        assert entry.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert said in entry.status.message
