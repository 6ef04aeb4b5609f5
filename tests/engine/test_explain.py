"""Why moments of a video were found, against a search by brute force."""

from pathlib import Path

import grpc
import numpy as np
import pytest

from spr.v1 import search_service_pb2 as pb
from tests.engine.asking import TEXT, embedding_of, request, rows, seconds
from tests.engine.corpus import SEGMENT, Corpus, sentence
from tests.engine.oracle import RankerOracle, cluster
from tests.engine.running import ask, refused

VIDEO = "video-003"


def explain(video: str = VIDEO, search: pb.SearchRequest | None = None) -> pb.ExplainRequest:
    return pb.ExplainRequest(search=search or request(params={"segment_top_k": 30}), video_id=video)


def test_tells_what_was_retrieved_of_the_video_and_what_became_of_it(tmp_path: Path) -> None:
    corpus = Corpus()
    with cluster(tmp_path, corpus) as workers:
        why = ask(workers, lambda stub: stub.Explain(explain()))
        whole = ask(workers, lambda stub: stub.Search(request(page_size=100, params={"segment_top_k": 30})))
    hits = corpus.search(sentence(TEXT), range(corpus.videos), 30)
    wanted = {
        (round(SEGMENT * segment, 6), rank)
        for rank, (video, segment) in enumerate(
            zip(hits.videos.tolist(), hits.segments.tolist(), strict=True)
        )
        if corpus.ids()[video] == VIDEO
    }
    assert wanted
    assert {(round(seconds(one.span)[0], 6), one.rank) for one in why.segments} == wanted
    starts = [seconds(one.span)[0] for one in why.segments]
    assert starts == sorted(starts)
    assert seconds(why.segments[-1].span)[1] <= corpus.durations[3] + 1e-6
    # The moments are those of the list, with their ranks in it.
    listed = [(m.rank, m.video_id) for m in whole.moments if m.video_id == VIDEO]
    assert [(m.rank, m.video_id) for m in why.moments] == listed
    assert {m.span.end_offset.seconds for m in why.moments} <= {
        m.span.end_offset.seconds for m in whole.moments
    }
    assert len(rows(whole)) > len(why.moments) > 0


def test_tells_the_similarity_of_the_very_video(tmp_path: Path) -> None:
    with cluster(tmp_path) as workers:
        why = ask(workers, lambda stub: stub.Explain(explain()))
    np.testing.assert_array_equal(why.frames.values, np.array([sentence(TEXT)[0], 0.03], np.float32))
    assert why.frames.step.seconds == 1
    assert not why.HasField("subtitles")
    assert why.video_id == VIDEO


def test_without_a_ranker_that_compares_the_rest_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: RankerOracle, request: object, context: grpc.ServicerContext) -> None:
        raise RuntimeError("no such thing")

    monkeypatch.setattr(RankerOracle, "Compare", broken)
    with cluster(tmp_path) as workers:
        why = ask(workers, lambda stub: stub.Explain(explain()))
    assert why.segments
    assert why.moments
    assert not why.HasField("frames")


def test_what_cannot_be_explained_is_refused(tmp_path: Path) -> None:
    vector = embedding_of(np.eye(8)[0])
    with cluster(tmp_path) as workers:
        assert refused(workers, lambda stub: stub.Explain(explain("nobody")))[:2] == (
            "NOT_FOUND",
            "VIDEO_NOT_FOUND",
        )
        assert refused(workers, lambda stub: stub.Explain(explain(search=vector)))[0] == "INVALID_ARGUMENT"
        assert refused(workers, lambda stub: stub.Explain(explain(search=request(""))))[1] == "QUERY_EMPTY"
