"""Filters through the whole engine: every answer is that of a corpus without what the filter leaves out."""

import math
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf.json_format import ParseDict

from engine.catalogue import Catalogue
from engine.facts import Facts
from engine.filters import Allowed, Filters, Stretch
from engine.proposals import propose
from engine.types import Ranked
from engine.wire_filter import filter_from_pb
from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import DEFAULTS, Row, request, rounded, rows
from tests.engine.corpus import SEGMENT, Corpus, sentence
from tests.engine.oracle import Cluster, cluster
from tests.engine.running import ask

TEXT = "something spins"
LABELS = ("news", "rome", "night")
DAY = 86_400.0


def about(videos: int) -> Facts:
    chance = random.Random(4)
    labels = [tuple(sorted(chance.sample(LABELS, chance.randrange(3)))) for _ in range(videos)]
    dates = np.array([math.nan if number % 5 == 4 else number * DAY for number in range(videos)])
    return Facts(labels, dates, np.full(videos, np.nan))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    corpus = Corpus(videos=14, shards=3, facts=about(14))
    with cluster(tmp_path_factory.mktemp("labelled"), corpus) as workers:
        yield workers


def filter_of(**fields: Any) -> pb.Filter:
    return ParseDict(fields, pb.Filter())


def lets_through(corpus: Corpus, number: int, f: pb.Filter) -> bool:
    """Whether a filter lets a video through, field by field."""
    labels, date = set(about(corpus.videos).labels[number]), about(corpus.videos).dates[number]
    least, most = f.min_duration.ToTimedelta(), f.max_duration.ToTimedelta()
    return all(
        [
            not f.video_ids or corpus.ids()[number] in f.video_ids,
            not f.any_labels or labels & set(f.any_labels),
            labels >= set(f.all_labels),
            not labels & set(f.no_labels),
            not f.HasField("from_date") or date >= f.from_date.seconds,
            not f.HasField("before_date") or date < f.before_date.seconds,
            corpus.durations[number] >= least.total_seconds(),
            not f.HasField("max_duration") or corpus.durations[number] <= most.total_seconds(),
        ]
    )


def by_hand(corpus: Corpus, wanted: pb.Filter) -> list[Row]:
    """The same search over what the filter lets through, in one process."""
    stretch, durations = filter_from_pb(wanted).stretch, np.array(corpus.durations)
    videos = [number for number in range(corpus.videos) if lets_through(corpus, number, wanted)]
    allowed = Allowed(np.ones(corpus.videos, bool), 0, stretch)
    hits = corpus.search(sentence(TEXT), videos, 400, stretch)
    proposals = allowed.cut(propose(hits, durations, SEGMENT, DEFAULTS.rule), durations)
    found = []
    for video, span in zip(proposals.videos.tolist(), proposals.spans.tolist(), strict=True):
        start, end, score = corpus.judge(TEXT, video, *span)
        found.append((score, corpus.ids()[video], start, end))
    return [(video, start, end) for _, video, start, end in sorted(found, key=lambda row: -row[0])]


def randomly(chance: random.Random, corpus: Corpus) -> pb.Filter:
    fields: dict[str, Any] = {
        "video_ids": [*chance.sample(corpus.ids(), 9), "nobody"],
        "any_labels": chance.sample(LABELS, 2),
        "all_labels": chance.sample(LABELS, 1),
        "no_labels": chance.sample(LABELS, 1),
        "from_date": "1970-01-03T00:00:00Z",
        "before_date": "1970-01-11T00:00:00Z",
        "min_duration": "6s",
        "max_duration": "25.5s",
    }
    chosen = {name: fields[name] for name in chance.sample(sorted(fields), chance.randrange(3))}
    parts: list[dict[str, Any]] = [{}, {"share": {"start": 0.3, "end": 0.6}}, {"share": {"start": 0.5}}]
    parts += [{"span": {"start_offset": "5s", "end_offset": "13.5s"}}, {"span": {"start_offset": "9s"}}]
    return filter_of(**chosen, **chance.choice(parts))


def test_equals_a_search_of_what_is_let_through(labelled: Cluster) -> None:
    chance = random.Random(1)
    wanted = [randomly(chance, labelled.corpus) for _ in range(60)]
    asked = [request(TEXT, filter=one, page_size=100) for one in wanted]
    batch = ask(labelled, lambda stub: stub.BatchSearch(pb.BatchSearchRequest(requests=asked)))
    counts = set()
    for one, entry in zip(wanted, batch.entries, strict=True):
        expected = rounded(by_hand(labelled.corpus, one))
        assert rounded(rows(entry.response)) == expected, one
        assert entry.response.coverage.ratio == 1
        counts.add(len(expected))
    assert {0} < counts
    assert max(counts) > 10


def test_moments_stay_in_the_part_that_is_asked_for(labelled: Cluster) -> None:
    asked = request(TEXT, filter=filter_of(span={"start_offset": "5s", "end_offset": "9s"}), page_size=100)
    answers = ask(labelled, lambda stub: progress(stub, asked))
    for answer in answers:
        spans = [(start, end) for _, start, end in rows(answer)]
        assert spans
        assert all(5 <= start < end <= 9 for start, end in spans)


async def progress(stub: Any, asked: pb.SearchRequest) -> list[pb.SearchResponse]:
    return [message.response async for message in stub.ProgressiveSearch(asked)]


def test_a_moment_that_was_moved_out_of_the_part_has_its_proposal_again() -> None:
    durations = np.array([20.0])
    allowed = Allowed(np.ones(1, bool), 1, Stretch(8.0, 12.0))
    hits = Corpus(videos=1, seed=2).search(sentence(TEXT), [0], 9)
    proposals = allowed.cut(propose(hits, durations, SEGMENT), durations)
    n = len(proposals)
    spans = np.tile([[1.0, 7.0]], (n, 1))
    ranked = Ranked("r", spans, np.ones(n), np.ones(n, np.float32), np.ones(n, bool))
    cut = allowed.cut_refined(ranked, proposals, durations)
    np.testing.assert_array_equal(cut.spans, proposals.spans)
    assert not cut.refined.any()
    inside = allowed.cut_refined(replace(ranked, spans=spans + 4), proposals, durations)
    np.testing.assert_array_equal(inside.spans, np.tile([[8.0, 11.0]], (n, 1)))
    assert inside.refined.all()


def test_pages_and_other_coordinators_keep_the_filter(labelled: Cluster) -> None:
    wanted = filter_of(any_labels=["news"], share={"start": 0.25})
    params = {"per_video": 2, "group_by": pb.GROUP_BY_VIDEO, "facets": True}
    whole = ask(labelled, lambda s: s.Search(request(TEXT, filter=wanted, params=params, page_size=100)))
    first = ask(labelled, lambda s: s.Search(request(TEXT, filter=wanted, params=params, page_size=3)))
    # Every `ask` has a coordinator of its own, so the second page is searched anew.
    next_page = pb.SearchRequest(page_token=first.next_page_token, page_size=100)
    rest = ask(labelled, lambda stub: stub.Search(next_page))
    assert rows(whole) == rows(first) + rows(rest)
    assert list(whole.facets) == list(first.facets) == list(rest.facets)
    assert whole.videos_allowed == first.videos_allowed == rest.videos_allowed


def test_few_a_video_and_groups_and_facets(labelled: Cluster) -> None:
    def found(**params: Any) -> pb.SearchResponse:
        return ask(labelled, lambda stub: stub.Search(request(TEXT, params=params, page_size=100)))

    every, few = found(facets=True), found(per_video=1)
    videos = [video for video, _, _ in rows(every)]
    firsts = [row for number, row in enumerate(rows(every)) if row[0] not in videos[:number]]
    assert rows(few) == firsts
    assert [moment.rank for moment in few.moments] == list(range(1, len(firsts) + 1))
    grouped = rows(found(group_by=pb.GROUP_BY_VIDEO))
    assert grouped == [row for video, _, _ in firsts for row in rows(every) if row[0] == video]
    labels = dict(zip(labelled.corpus.ids(), about(14).labels, strict=True))
    counts = {
        label: (sum(label in labels[video] for video in set(videos)), sum(label in labels[v] for v in videos))
        for label in LABELS
    }
    assert {facet.label: (facet.videos, facet.moments) for facet in every.facets} == counts
    assert not few.facets
    assert not every.HasField("videos_allowed")


def test_explains_what_is_let_through(labelled: Cluster) -> None:
    wanted = filter_of(video_ids=["video-003"], share={"end": 0.5})
    asked = pb.ExplainRequest(search=request(TEXT, filter=wanted), video_id="video-003")
    explained = ask(labelled, lambda stub: stub.Explain(asked))
    assert explained.segments
    assert [segment.rank for segment in explained.segments]
    middle = labelled.corpus.durations[3] / 2
    assert all(segment.span.start_offset.seconds < middle for segment in explained.segments)


def test_a_worker_that_knows_no_filters_counts_as_lost(tmp_path: Path) -> None:
    with cluster(tmp_path, Corpus(shards=2)) as workers:
        workers.shards[1][0].old = True
        wanted = filter_of(min_duration="1s")
        answer = ask(workers, lambda stub: stub.Search(request(TEXT, filter=wanted, page_size=100)))
        assert list(answer.coverage.unreachable) == ["shard-00001"]
        assert {video for video, _, _ in rows(answer)} <= {f"video-{n:03d}" for n in range(0, 12, 2)}
        assert ask(workers, lambda stub: stub.Search(request(TEXT))).coverage.ratio == 1


@pytest.mark.parametrize(
    ("folder", "found"),
    [
        ("news", ["a", "b"]),
        ("news/2024/", ["b"]),
        ("/videos/news", ["a", "b"]),
        ("/news", []),
        ("2024", ["b", "c"]),
        ("ews", []),
        ("a b", ["c"]),
    ],
)
def test_folders(folder: str, found: list[str]) -> None:
    uris = {"a": "/videos/news/a.mp4", "b": "/videos/news/2024/b.mp4", "c": "/2024/a%20b/c.mp4", "d": ""}
    columns = np.ones(4), np.ones(4, np.int32), np.zeros(4, np.int32), Facts.unknown(4)
    catalogue = Catalogue(list(uris), [f"file://{path}" for path in uris.values()], *columns)
    allowed = Filters(catalogue).resolve(filter_from_pb(pb.Filter(folder=folder)))
    assert [catalogue.ids[row] for row in np.flatnonzero(allowed.videos)] == found


def test_lists_the_videos_page_by_page(labelled: Cluster) -> None:
    async def listed(stub: Any, wanted: pb.Filter | None, size: int) -> list[pb.Video]:
        token, found = "", list[pb.Video]()
        while token or not found:
            asked = pb.ListVideosRequest(filter=wanted, page_size=size, page_token=token)
            answer = await stub.ListVideos(asked)
            found += answer.videos
            token = answer.next_page_token
        assert answer.total_videos == len(found)
        return found

    every = ask(labelled, lambda stub: listed(stub, None, 4))
    assert [video.id for video in every] == labelled.corpus.ids()
    assert [video.duration.ToTimedelta().total_seconds() for video in every] == pytest.approx(
        labelled.corpus.durations, abs=1e-6
    )
    facts = about(labelled.corpus.videos)
    assert [tuple(video.labels) for video in every] == facts.labels
    assert every[3].date.seconds == 3 * DAY
    assert not every[4].HasField("date")
    assert every[0].uri == "video-000.mp4"
    wanted = filter_of(any_labels=["rome"])
    some = ask(labelled, lambda stub: listed(stub, wanted, 2))
    assert [video.id for video in some] == [video.id for video in every if "rome" in video.labels]
