"""Searches of what is seen, said and written, against loops over the lists that the workers make."""

import itertools
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine import wire_texts
from engine.errors import Mismatch
from engine.texts import SAID, SEEN, TEXTS, WORDS, WRITTEN, ListName, TextHits
from engine.types import Hits
from spr.v1 import search_service_pb2 as pb
from spr.v1 import types_pb2
from tests.engine.asking import request, rounded, seconds
from tests.engine.corpus import SEGMENT
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask
from tests.engine.talking import (
    CHANNELS,
    METHODS,
    QUERY,
    asked,
    by_hand,
    inside,
    proposed,
    search,
    talking,
)


@pytest.mark.parametrize("shards", [1, 3])
def test_equals_one_process_by_brute_force(tmp_path: Path, shards: int) -> None:
    corpus = talking(shards)
    with cluster(tmp_path, corpus) as workers:
        for weighs, channels in itertools.product((False, True), ((), (SEEN,), (SAID,), (SAID, WRITTEN))):
            workers.rankers[0].weighs = weighs
            response = ask(workers, partial(search, wanted=asked(*channels)))
            expected = by_hand(corpus, channels or (SEEN, *TEXTS), weighs)
            assert rounded(proposed(response)) == rounded(expected), channels
            assert response.coverage.ratio == 1


def test_a_version_without_texts_has_nothing_said_and_costs_no_search(shared: Cluster) -> None:
    plain = ask(shared, partial(search, wanted=request(QUERY, page_size=100)))
    for channels, wanted in (((SEEN, SAID), len(plain.moments)), ((SAID, WRITTEN), 0)):
        chosen = request(QUERY, page_size=100, params={"channels": [CHANNELS[name] for name in channels]})
        response = ask(shared, partial(search, wanted=chosen))
        assert len(response.moments) == wanted
        assert response.coverage.ratio == 1
        assert not response.coverage.degraded
    assert not any(moment.found_by for moment in plain.moments)


def test_a_filter_holds_for_what_is_said_and_written(spoken: Cluster) -> None:
    some = pb.Filter(video_ids=["video-001", "video-004"], share=pb.Share(start=0.5))
    wanted = asked(SAID, WRITTEN)
    wanted.filter.CopyFrom(some)
    response = ask(spoken, partial(search, wanted=wanted))
    assert {moment.video_id for moment in response.moments} == {"video-001", "video-004"}
    for moment in response.moments:
        duration = spoken.corpus.durations[spoken.corpus.ids().index(moment.video_id)]
        assert seconds(moment.span)[0] >= duration / 2 - 1e-6
    assert response.videos_allowed == 2


def test_a_lost_shard_is_lost_in_all_channels(tmp_path: Path) -> None:
    with cluster(tmp_path, talking(2)) as workers:
        whole = ask(workers, partial(search, wanted=asked()))
        workers.kill(workers.topology.index[1].target)
        response = ask(workers, partial(search, wanted=asked()))
    there = set(workers.corpus.ids()[::2])
    assert {moment.video_id for moment in response.moments} == there < {m.video_id for m in whole.moments}
    assert response.coverage.videos_searched == len(there)
    assert response.coverage.degraded == [types_pb2.DEGRADED_REASON_SHARD_UNAVAILABLE]


def test_parts_are_sought_in_texts_too(spoken: Cluster) -> None:
    parts = [pb.QueryPart(text="rain falls"), pb.QueryPart(text="sun shines in rome")]
    chosen = pb.SearchParams(channels=[types_pb2.CHANNEL_SAID], segment_top_k=2)
    wanted = pb.SearchRequest(composed=pb.ComposedQuery(parts=parts), page_size=100, params=chosen)
    wanted.composed.within.seconds = 1000
    found = ask(spoken, partial(search, wanted=wanted)).moments
    said = (spoken.corpus.texts or {})[SAID]
    assert found
    for part, moment in itertools.product((0, 1), found):
        video, (start, end) = spoken.corpus.ids().index(moment.video_id), seconds(moment.parts[part])
        assert any(inside(place, video, (start - SEGMENT, end + SEGMENT)) for place in said)


def test_each_part_tells_what_found_it_as_a_query_of_it_alone_does(spoken: Cluster) -> None:
    texts = "rain falls", "sun shines in rome"
    params = pb.SearchParams(segment_top_k=200, rerank=False)
    alone = []
    for text in texts:
        one = pb.SearchRequest(text=text, page_size=100, params=params)
        found = ask(spoken, partial(search, wanted=one)).moments
        alone.append({(m.video_id, seconds(m.span)): list(m.found_by) for m in found})
    wanted = pb.SearchRequest(page_size=100, params=params)
    wanted.composed.parts.extend(pb.QueryPart(text=text) for text in texts)
    for refined in (False, True):
        wanted.params.rerank = refined
        chains = ask(spoken, partial(search, wanted=wanted)).moments
        assert {one.part for moment in chains for one in moment.found_by} == {0, 1}
        for moment in chains:
            numbers = [one.part for one in moment.found_by]
            assert numbers == sorted(numbers)
            for part, span in enumerate(moment.parts):
                told = [one for one in moment.found_by if one.part == part]
                if refined:
                    continue  # the span is no proposal's any more
                expected = alone[part][moment.video_id, seconds(span)]
                assert [(one.channel, one.method, one.rank, one.line) for one in told] == [
                    (one.channel, one.method, one.rank, one.line) for one in expected
                ]


def test_what_must_not_be_there_stays_last(spoken: Cluster) -> None:
    wanted = pb.SearchRequest(
        composed=pb.ComposedQuery(parts=[pb.QueryPart(text=QUERY, not_texts=["nobody speaks"])]),
        page_size=100,
    )
    response = ask(spoken, partial(search, wanted=wanted))
    plain = ask(spoken, partial(search, wanted=request(QUERY, page_size=100)))
    assert sorted(m.video_id for m in response.moments) == sorted(m.video_id for m in plain.moments)
    assert all(moment.found_by for moment in response.moments)


def test_a_sentence_is_encoded_for_texts_only_where_texts_are_searched(spoken: Cluster) -> None:
    async def several(stub: Any) -> list[int]:
        spoken.rankers[0].meant.clear()
        return [len((await search(stub, wanted)).moments) for wanted in (asked(SEEN), asked(), asked(SEEN))]

    seen, every, again = ask(spoken, several)
    # The third is answered by what the second had encoded.
    assert spoken.rankers[0].meant == [False, True]
    assert every >= seen == again > 0


def test_a_query_by_pictures_alone_is_sought_in_pictures(spoken: Cluster) -> None:
    parts = [pb.QueryPart(examples=[pb.Example(image=b"a picture")])]
    wanted = pb.SearchRequest(composed=pb.ComposedQuery(parts=parts), page_size=100)
    every = ask(spoken, partial(search, wanted=wanted))
    wanted.params.channels.append(types_pb2.CHANNEL_SAID)
    assert ask(spoken, partial(search, wanted=wanted)).moments == every.moments
    assert every.moments
    assert not any(moment.found_by for moment in every.moments)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        ({"method": METHODS[WORDS], "channel": CHANNELS[WRITTEN]}, "not asked for"),
        ({"scores": b""}, "0 scores"),
        ({"scores": np.array([np.nan], "<f4").tobytes()}, "not finite"),
        ({"video_ordinals": np.array([9], "<i4").tobytes()}, "beyond the 9"),
        ({"segment_ordinals": np.array([-1], "<i4").tobytes()}, "beyond the 9"),
    ],
)
def test_lists_that_cannot_be_are_refused(spoil: dict[str, Any], said: str) -> None:
    hits = Hits(np.array([3], np.int32), np.array([0], np.int32), np.ones(1, np.float32))
    (good,) = wire_texts.hits_to_pb([TextHits(ListName(SAID, WORDS), hits)])
    (read,) = wire_texts.hits_from_pb([good], [CHANNELS[SAID]], 9)
    assert read.name == (SAID, WORDS)
    assert read.hits.scores.tolist() == [1.0]
    with pytest.raises(Mismatch, match="not asked for"):
        wire_texts.hits_from_pb([good, good], [CHANNELS[SAID]], 9)
    for name, value in spoil.items():
        setattr(good, name, value)
    with pytest.raises(Mismatch, match=said):
        wire_texts.hits_from_pb([good], [CHANNELS[SAID]], 9)
