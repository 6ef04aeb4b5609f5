"""Searches of what is seen, said and written, against loops over the lists that the workers make."""

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import words
from engine.proposals import propose
from engine.texts import MEANING, SAID, SEEN, TEXTS, WORDS, WRITTEN, TextsSought
from engine.types import Hits
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import DEFAULTS, request, rounded, seconds
from tests.engine.corpus import SEGMENT, WHOLE, Corpus, sentence
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask

TOP = 20
QUERY = "lovely rain falls in london"
SENTENCES = ("rain falls", "in london", "sun shines in rome", "lovely london", "nobody speaks", "RE16 SPR")
CHANNELS = {
    SEEN: types_pb2.CHANNEL_SEEN,
    SAID: types_pb2.CHANNEL_SAID,
    WRITTEN: types_pb2.CHANNEL_WRITTEN,
}
METHODS = {WORDS: types_pb2.Finding.METHOD_WORDS, MEANING: types_pb2.Finding.METHOD_MEANING}
Place = tuple[int, int]
Lists = dict[tuple[str, str], list[Place]]


def talking(shards: int) -> Corpus:
    """Return a corpus in which every third segment has something said, every fourth something written."""
    corpus = Corpus(videos=10, shards=shards)
    places = [(video, at) for video in range(10) for at in range(len(corpus.vectors[video]))]
    named = itertools.cycle(SENTENCES)
    corpus.texts = {channel: {} for channel in TEXTS}
    for number, place in enumerate(places):
        for channel, every in ((SAID, 3), (WRITTEN, 4)):
            if number % every == 0:
                corpus.texts[channel][place] = next(named)
    return corpus


def lists_of(corpus: Corpus, channels: tuple[str, ...]) -> Lists:
    """Return the places of every list, best first."""
    videos = range(corpus.videos)
    found = {}
    if SEEN in channels:
        hits = corpus.search(sentence(QUERY), videos, TOP)
        found[SEEN, MEANING] = list(zip(hits.videos.tolist(), hits.segments.tolist(), strict=True))
    sought = TextsSought(tuple(name for name in TEXTS if name in channels), QUERY, None)
    for one in corpus.search_texts(sought, videos, TOP, WHOLE):
        places = zip(one.hits.videos.tolist(), one.hits.segments.tolist(), strict=True)
        found[tuple(one.name)] = list(places)
    return found


def fused(lists: Lists) -> list[Place]:
    """Return the best segments of all lists by their reciprocal ranks."""
    scores: dict[Place, float] = {}
    for places in lists.values():
        for rank, place in enumerate(places):
            scores[place] = scores.get(place, 0.0) + 1 / (60 + rank)
    return sorted(scores, key=lambda place: (-scores[place], place))[:TOP]


def by_hand(corpus: Corpus, channels: tuple[str, ...], weighs: bool) -> list[tuple[str, float, float]]:
    """The same search in one process, with loops: the moments of its proposals, best first, not refined."""
    lists = lists_of(corpus, channels)
    places = np.array(fused(lists), np.int32).reshape(-1, 2)
    hits = Hits(places[:, 0], places[:, 1], np.zeros(len(places), np.float32))
    proposals = propose(hits, np.array(corpus.durations), SEGMENT, DEFAULTS.rule)
    spans = list(zip(proposals.videos.tolist(), map(tuple, proposals.spans.tolist()), strict=True))
    scores = [corpus.judge(QUERY, video, *span)[2] for video, span in spans]
    if not weighs:
        scores = _with_texts(corpus, lists, spans, scores)
    order = sorted(range(len(spans)), key=lambda row: -scores[row])
    return [(corpus.ids()[spans[row][0]], *spans[row][1]) for row in order]


def _with_texts(corpus: Corpus, lists: Lists, spans: list[Any], scores: list[float]) -> list[float]:
    total = [1 / (60 + sum(other > one for other in scores)) for one in scores]
    for (channel, method), places in lists.items():
        if channel == SEEN:
            continue
        best = [
            max((_score(corpus, channel, method, p) for p in places if _in(p, *s)), default=0.0)
            for s in spans
        ]
        for row, one in enumerate(best):
            if one:
                total[row] += 1 / (60 + sum(other > one for other in best))
    return total


def _in(place: Place, video: int, span: tuple[float, float]) -> bool:
    return place[0] == video and place[1] * SEGMENT < span[1] and (place[1] + 1) * SEGMENT > span[0]


def _score(corpus: Corpus, channel: str, method: str, place: Place) -> float:
    assert corpus.texts is not None
    text = corpus.texts[channel][place]
    if method == MEANING:
        return float(np.float32(sentence(text) @ sentence(QUERY)))
    asked = set(words.terms(QUERY))
    return float(np.float32(len(asked & set(words.terms(text))) / len(asked)))


def asked(*channels: str, **params: Any) -> pb.SearchRequest:
    chosen = [CHANNELS[name] for name in channels]
    return request(QUERY, page_size=100, params={"segment_top_k": TOP, "channels": chosen, **params})


def _search(stub: Any, wanted: pb.SearchRequest) -> Any:
    return stub.Search(wanted)


def proposed(response: pb.SearchResponse) -> list[tuple[str, float, float]]:
    return [(m.video_id, *seconds(m.provenance.proposal_span)) for m in response.moments]


@pytest.mark.parametrize("shards", [1, 3])
def test_equals_one_process_by_brute_force(tmp_path: Path, shards: int) -> None:
    corpus = talking(shards)
    with cluster(tmp_path, corpus) as workers:
        for weighs, channels in itertools.product((False, True), ((), (SEEN,), (SAID,), (SAID, WRITTEN))):
            workers.rankers[0].weighs = weighs
            response = ask(workers, partial(_search, wanted=asked(*channels)))
            expected = by_hand(corpus, channels or (SEEN, *TEXTS), weighs)
            assert rounded(proposed(response)) == rounded(expected), channels
            assert response.coverage.ratio == 1


@pytest.fixture(scope="module")
def spoken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("texts"), talking(2)) as workers:
        yield workers


def test_a_moment_tells_what_found_it(spoken: Cluster) -> None:
    corpus, lists = spoken.corpus, lists_of(spoken.corpus, (SEEN, *TEXTS))
    response = ask(spoken, partial(_search, wanted=asked()))
    told = 0
    for moment in response.moments:
        video = corpus.ids().index(moment.video_id)
        span = seconds(moment.provenance.proposal_span)
        wanted = {}
        for name, places in lists.items():
            ranks = [rank for rank, place in enumerate(places) if _in(place, video, span)]
            if ranks:
                wanted[name] = ranks[0]
        names = {(CHANNELS[c], METHODS[m]): (c, m) for c, m in lists}
        found = {names[one.channel, one.method]: one.rank for one in moment.found_by}
        assert found == wanted
        assert [one.rank for one in moment.found_by] == sorted(found.values())
        for one in moment.found_by:
            name = names[one.channel, one.method]
            assert one.HasField("line") == (name[0] != SEEN)
            if name[0] == SEEN:
                continue
            place = lists[name][one.rank]
            assert corpus.texts is not None
            assert "".join(piece.text for piece in one.line.pieces) == corpus.texts[name[0]][place]
            assert {piece.text for piece in one.line.pieces if piece.matched} <= set(QUERY.split())
            assert seconds(one.line.span) == (place[1] * SEGMENT + 1.5, place[1] * SEGMENT + 3.0)
            assert one.line.HasField("box") == (name[0] == WRITTEN)
            told += 1
    assert told > 5


def test_what_texts_found_better_has_their_line_s_span(spoken: Cluster) -> None:
    response = ask(spoken, partial(_search, wanted=asked()))
    by_texts = 0
    for moment in response.moments:
        first = moment.found_by[0]
        if first.channel != types_pb2.CHANNEL_SEEN:
            start, end = seconds(first.line.span)
            ends = spoken.corpus.durations[spoken.corpus.ids().index(moment.video_id)]
            assert rounded([("", *seconds(moment.span))]) == rounded([("", start, min(end, ends))])
            by_texts += 1
        else:
            start, end = seconds(moment.provenance.proposal_span)
            quarter = (end - start) / 4
            assert rounded([("", *seconds(moment.span))]) == rounded([("", start + quarter, end - quarter)])
    assert 0 < by_texts < len(response.moments)


def test_pages_tell_the_same_as_the_whole_list(spoken: Cluster) -> None:
    async def read(stub: Any) -> Any:
        whole = await stub.Search(asked())
        first = asked()
        first.page_size = 3
        page = await stub.Search(first)
        moments = list(page.moments)
        while page.next_page_token:
            page = await stub.Search(pb.SearchRequest(page_token=page.next_page_token, page_size=4))
            moments += page.moments
        return list(whole.moments), moments

    whole, paged = ask(spoken, read)
    assert paged == whole


def test_without_the_file_of_texts_a_moment_still_tells_its_lists(tmp_path: Path) -> None:
    with cluster(tmp_path, talking(1)) as workers:
        before = ask(workers, partial(_search, wanted=asked(SAID, WRITTEN)))
        (path,) = workers.topology.collection.glob("parts/*/texts.sqlite")
        for spoil in (lambda: path.write_bytes(b"nonsense" * 100), path.unlink):
            spoil()
            after = ask(workers, partial(_search, wanted=asked(SAID, WRITTEN)))
            told, lacking = ([m.found_by for m in response.moments] for response in (before, after))
            assert [[one.rank for one in found] for found in lacking] == [
                [one.rank for one in found] for found in told
            ]
            assert not any(one.HasField("line") for found in lacking for one in found)


def test_a_version_without_texts_has_nothing_said_and_costs_no_search(shared: Cluster) -> None:
    plain = ask(shared, partial(_search, wanted=request(QUERY, page_size=100)))
    for channels, wanted in (((SEEN, SAID), len(plain.moments)), ((SAID, WRITTEN), 0)):
        chosen = request(QUERY, page_size=100, params={"channels": [CHANNELS[name] for name in channels]})
        response = ask(shared, partial(_search, wanted=chosen))
        assert len(response.moments) == wanted
        assert response.coverage.ratio == 1
        assert not response.coverage.degraded
    assert not any(moment.found_by for moment in plain.moments)
