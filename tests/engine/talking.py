"""A corpus in which something is said and written, and searches of it by brute force."""

import itertools
from typing import Any

import numpy as np

from engine import words
from engine.channels import MEANING_SURE, WORDS_SURE, telling
from engine.proposals import propose
from engine.texts import MEANING, SAID, SEEN, TEXTS, WORDS, WRITTEN, TextsSought
from engine.types import Hits
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import DEFAULTS, request, seconds
from tests.engine.corpus import SEGMENT, WHOLE, Corpus, sentence

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
    sought = TextsSought(tuple(name for name in TEXTS if name in channels), QUERY, sentence(QUERY))
    for one in corpus.search_texts(sought, videos, TOP, WHOLE):
        if SEEN in channels:
            (one,) = telling([one], 0.0)
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
    # In texts alone the ranker's order, which is of pictures, does not count.
    if not (weighs and (SEEN, MEANING) in lists):
        scores = _with_texts(corpus, lists, spans, scores)
    order = sorted(range(len(spans)), key=lambda row: -scores[row])
    return [(corpus.ids()[spans[row][0]], *spans[row][1]) for row in order]


def _with_texts(corpus: Corpus, lists: Lists, spans: list[Any], scores: list[float]) -> list[float]:
    seen = float((SEEN, MEANING) in lists)
    total = [seen / (60 + sum(other > one for other in scores)) for one in scores]
    for (channel, method), places in lists.items():
        if channel == SEEN:
            continue
        best = [
            max((_score(corpus, channel, method, p) for p in places if inside(p, *s)), default=0.0)
            for s in spans
        ]
        low, high = MEANING_SURE if method == MEANING else WORDS_SURE
        for row, one in enumerate(best):
            sure = min(max(one - low, 0.0) / (high - low), 1.0) if seen else float(one != 0)
            total[row] += sure / (60 + sum(other > one for other in best))
    return total


def inside(place: Place, video: int, span: tuple[float, float]) -> bool:
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


def search(stub: Any, wanted: pb.SearchRequest) -> Any:
    return stub.Search(wanted)


def proposed(response: pb.SearchResponse) -> list[tuple[str, float, float]]:
    return [(m.video_id, *seconds(m.provenance.proposal_span)) for m in response.moments]
