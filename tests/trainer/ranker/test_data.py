import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.proposals import ProposalRule
from engine.types import Proposals
from tests import numeric
from trainer.collection.annotations import JudgedMoment, JudgedQuery
from trainer.collection.retrieval import Retrieval, seen_moments
from trainer.collection.segments import VideoRows
from trainer.ranker.data import TrainingData, mine, pairs_of, trainable
from trainer.ranker.lists import Graded, Lists
from trainer.ranker.mining import Mined, around
from trainer.ranker.settings import RankerSettings
from workers.ranker.model.windows import WindowConfig, cut
from workers.ranker.projection.projector import MeanPool
from workers.ranker.stores.features import FRAMES, SUBTITLES, FeatureMaps, FeatureStream

WINDOW = WindowConfig(clip_length=1.0, context=4.0)
SETTINGS = RankerSettings(depth=6, batch=4)


def contexts(lengths: list[int]) -> FeatureMaps:
    rng = np.random.default_rng(0)
    streams = {
        name: FeatureStream.of(rng.normal(size=(sum(lengths), 8)).astype(np.float32), lengths, 1.0)
        for name in (FRAMES, SUBTITLES)
    }
    return FeatureMaps(streams, np.array(lengths, float))


def moment(video: str, start: float, end: float, caption: str, similarity: float = 0.9) -> JudgedMoment:
    return JudgedMoment(0, video, start, end, 60.0, caption, similarity)


QUERIES = [
    JudgedQuery(1, "one", (moment("a", 2, 9, "x"), moment("b", 20, 31.5, "y"), moment("c", 0, 4, "z", 0.1))),
    JudgedQuery(2, "two", (moment("b", 40, 44, "x"), moment("gone", 1, 2, "x"), moment("a", 30, 37, "w"))),
    JudgedQuery(3, "three", (moment("a", 57, 59, "v"),)),
]
ORDINALS = {"a": 0, "b": 1, "c": 2}


def test_pairs_keep_what_can_be_trained() -> None:
    pairs = pairs_of(QUERIES, ORDINALS, min_similarity=0.5)
    assert pairs.query.tolist() == [0, 0, 1, 1, 2]
    assert pairs.video.tolist() == [0, 1, 1, 0, 0]
    assert pairs.moments[1].tolist() == [20.0, 31.5]
    # Query "one" accepts caption x, which is also that of query "two"'s first moment.
    np.testing.assert_array_equal(
        pairs.positives(np.arange(4)),
        [[1, 1, 1, 0], [1, 1, 1, 0], [1, 0, 1, 1], [1, 0, 1, 1]],
    )
    # The features of video a end before the moment of query "three" begins.
    assert trainable(pairs, contexts([50, 60, 5]), 4.0, WINDOW).tolist() == [True, True, True, True, False]


def test_positives_are_those_of_the_plain_loop() -> None:
    rng = np.random.default_rng(1)
    captions = [f"c{n}" for n in range(6)]
    queries = [
        JudgedQuery(row, str(row), tuple(moment("a", 0, 4, c) for c in rng.choice(captions, 2)))
        for row in range(8)
    ]
    pairs = pairs_of(queries, ORDINALS, -1.0)
    names = [one.caption for query in queries for one in query.moments]
    rows = rng.permutation(len(pairs))[:9]
    found = pairs.positives(rows)
    for a, b in itertools.product(range(9), repeat=2):
        accepted = {one.caption for one in queries[pairs.query[rows[a]]].moments}
        assert found[a, b] == (names[rows[b]] in accepted)


def test_seen_moments_overlap_the_widened_proposal() -> None:
    proposals = Proposals(
        np.array([0, 0, 1], np.int32),
        np.array([[8.0, 12], [40, 44], [8, 12]]),
        np.arange(3, dtype=np.int32),
        np.zeros(3, np.float32),
    )
    moments = np.array([[14.0, 20], [16, 20], [0, 60]])
    videos = np.array([0, 0, 1], np.int32)
    shown = seen_moments(proposals, videos, moments, context=4.0, min_cover=0.0)
    assert shown.tolist() == [[True, False, False], [False, False, False], [False, False, True]]
    assert not seen_moments(proposals, videos, moments, 4.0, min_cover=0.5).any()


def test_made_proposals_hold_their_moment() -> None:
    rng = np.random.default_rng(0)
    starts = rng.uniform(0, 50, 200)
    moments = np.stack([starts, np.minimum(starts + rng.uniform(0.5, 9, 200), 55.5)], axis=1)
    spans = around(moments, np.full(200, 55.5), 4.0, rng)
    assert (spans[:, 0] <= moments[:, 0]).all()
    assert (spans[:, 1] >= moments[:, 1]).all()
    assert (spans[:, 0] % 4 == 0).all()
    inside = spans[:, 1] < 55.5
    assert (spans[inside, 1] % 4 == 0).all()
    assert set((np.floor(moments[:, 0] / 4) - spans[:, 0] / 4)[moments[:, 0] >= 4].tolist()) == {0.0, 1.0}


def test_mined_spans_are_drawn_evenly_from_the_own() -> None:
    mined = Mined(
        np.array([0, 2, 2, 3]), np.array([5, 6, 7], np.int32), np.array([[0.0, 4], [8, 12], [16, 20]])
    )
    rng = np.random.default_rng(0)
    pairs = np.tile([0, 1, 2], 200)
    videos, spans, there = mined.draw(pairs, rng)
    assert ((videos == 5) == (spans[:, 0] == 0)).all()
    assert there.tolist() == [True, False, True] * 200
    assert set(map(tuple, spans[::3].tolist())) == {(0.0, 4.0), (8.0, 12.0)}
    assert 60 < (spans[::3, 0] == 0).sum() < 140
    assert (spans[2::3] == [16, 20]).all()
    empty = Mined.of([(np.zeros(0, np.int32), np.zeros((0, 2)))] * 3)
    assert not empty.draw(pairs, rng)[2].any()
    assert mined.owners.tolist() == [0, 0, 2]
    assert mined.take(np.array([False, True, True])).offsets.tolist() == [0, 1, 1, 2]


@pytest.mark.parametrize("depth", [3, 40])
def test_retrieval_proposes_the_nearest_segments(depth: int) -> None:
    store = contexts([20, 9, 30])
    retrieval = Retrieval.embed(VideoRows.of_contexts(store), MeanPool(), torch.device("cpu"))
    assert retrieval.videos.tolist() == [0] * 5 + [1] * 3 + [2] * 8
    query = retrieval.vectors[9:10] * 3
    proposals = next(iter(retrieval.proposals(query, depth, ProposalRule())))
    assert (proposals.videos[0], proposals.ranks[0]) == (2, 0)
    assert proposals.spans[0, 0] <= 4.0 < proposals.spans[0, 1]
    assert proposals.scores[0] == pytest.approx(1.0, abs=1e-6)
    covered = np.ceil((proposals.spans[:, 1] - proposals.spans[:, 0]) / 4).sum()
    assert covered == min(depth, 16)


def test_small_splits_are_not_retrieved_whole() -> None:
    retrieval = Retrieval.embed(VideoRows.of_contexts(contexts([20, 9, 30])), MeanPool(), torch.device("cpu"))
    assert [retrieval.depth(200, 1.0), retrieval.depth(200, 0.3), retrieval.depth(3, 0.3)] == [16, 4, 3]
    assert retrieval.depth(200, 0.01) == 1


def data(by_similarity: bool = False) -> TrainingData:
    store = contexts([50, 60, 5])
    every = pairs_of(QUERIES, ORDINALS, 0.5)
    pairs = every.take(trainable(every, store, 4.0, WINDOW))
    retrieval = Retrieval.embed(VideoRows.of_contexts(store), MeanPool(), torch.device("cpu"))
    queries = torch.randn(3, 8, generator=torch.Generator().manual_seed(0))
    depth, rule = (
        retrieval.depth(SETTINGS.depth, SETTINGS.depth_share),
        ProposalRule.parse(SETTINGS.proposals),
    )
    mined, wrong = mine(pairs, retrieval.proposals(queries, depth, rule), store, WINDOW, SETTINGS)
    tokens = [np.ones((n, 5), np.float32) for n in (2, 3, 40)]
    return TrainingData(store, pairs, mined, wrong, tokens, WINDOW, 4.0, by_similarity)


def test_batches_are_functions_of_their_seed_and_always_show_the_moment() -> None:
    made = data()
    rows = np.array([3, 0, 1, 2, 0])
    device = torch.device("cpu")
    for step in range(40):
        batch, again = (made.batch(rows, (7, step), device) for _ in range(2))
        for one, other in (
            (batch.windows.video, again.windows.video),
            (batch.tokens, again.tokens),
            *zip(batch.targets, again.targets, strict=True),
        ):
            assert torch.equal(one, other)
        lengths = batch.windows.mask.sum(1).long()
        first, last = batch.targets.clips.T
        assert (first >= 0).all()
        assert (first <= last).all()
        assert (last < lengths).all()
        assert torch.equal(batch.targets.foreground.sum(1).long(), last - first + 1)
        assert batch.targets.positives.diagonal().all()
        assert batch.token_mask.sum(1).tolist() == [3, 2, 2, 3, 2]
    assert torch.equal(batch.targets.weights, torch.ones(5))
    weighted = data(by_similarity=True).batch(rows, (7, 0), device)
    numeric.close(weighted.targets.weights, torch.full((5,), 0.9))


def test_wrong_proposals_show_none_of_the_querys_moments() -> None:
    made = data()
    assert made.wrong is not None
    owners, videos, spans = made.wrong.owners, made.wrong.videos, made.wrong.spans
    assert len(owners) > 0
    for query, video, span in zip(owners, videos, spans, strict=True):
        own = (made.pairs.query == query) & (made.pairs.video == video)
        for begin, end in made.pairs.moments[own]:
            assert span[1] + 4 <= begin or end <= span[0] - 4
    batch = made.batch(np.array([0, 2]), (1, 1), torch.device("cpu"))
    assert batch.wrong is not None
    assert len(batch.wrong.mask) == 2


def test_mined_proposals_come_from_the_own_video_and_show_the_moment() -> None:
    made = data()
    counts = np.diff(made.mined.offsets)
    assert counts.any()
    owners = np.repeat(np.arange(len(counts)), counts)
    durations = made.contexts.durations[made.pairs.video[owners]]
    moments = made.pairs.moments[owners]
    assert (made.mined.spans[:, 0] - 4 < moments[:, 1]).all()
    assert (np.minimum(made.mined.spans[:, 1] + 4, durations) > moments[:, 0]).all()


def test_lists_grade_proposals_by_what_their_windows_show() -> None:
    store = contexts([60, 60, 20])
    pairs = pairs_of(QUERIES, ORDINALS, -1.0)
    graded = Graded.of(pairs.query, pairs.video, pairs.moments, pairs.similarity, len(QUERIES))
    spans = np.array([[0.0, 4], [24, 28], [8, 12], [0, 4]])
    windows = cut(np.array([0, 1, 1, 2], np.int32), spans, store, WINDOW)
    worth = graded.worth(np.array([0, 1]), windows)
    high = 2 ** (4 * 0.9) - 1
    # Of 20..31.5 the window 20..32 shows all, of 2..9 the window 0..8 shows six sevenths.
    numeric.close(worth[0], [high * 6 / 7, high, 0, 2**0.4 - 1])
    assert not worth[1].any()


def test_batches_with_surroundings_have_the_same_labels_further_in() -> None:
    store = contexts([60, 60, 60])
    pairs = pairs_of(QUERIES, ORDINALS, 0.5)
    tokens = [np.ones((2, 4), np.float32)] * len(QUERIES)
    nothing = Mined.of([(np.zeros(0, np.int32), np.zeros((0, 2)))] * len(pairs))
    graded = Graded.of(pairs.query, pairs.video, pairs.moments, pairs.similarity, len(QUERIES))
    proposals = Mined.of([(np.array([2], np.int32), np.array([[8.0, 12]]))] * len(QUERIES))
    plain = TrainingData(store, pairs, nothing, None, tokens, WINDOW, 4.0, False)
    wide = replace(plain, halo=3, lists=Lists(proposals, graded, 1))
    rows = np.arange(4)
    one, other = (data.batch(rows, (7, 0), torch.device("cpu")) for data in (plain, wide))
    assert one.worth is None
    assert other.worth is not None
    assert (len(one.windows.mask), tuple(other.worth.shape)) == (4, (4, 8))
    for row in range(4):
        before = int(other.windows.inner[row].argmax())
        length = int(one.windows.mask[row].sum())
        assert int(other.windows.inner[row].sum()) == length
        assert 0 <= before <= 3
        inner = other.windows.video[row, before : before + length]
        numeric.close(inner, one.windows.video[row, :length])
        assert (other.targets.clips[row] - one.targets.clips[row]).tolist() == [before, before]
        assert (other.windows.places[row] - one.windows.places[row]).tolist() == [before, before]
        assert int(other.targets.foreground[row].argmax()) == int(other.targets.clips[row, 0])
        assert float(other.worth[row, row]) > 0
