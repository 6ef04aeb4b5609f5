import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine import wire, wire_rank
from engine.errors import InvalidInput
from engine.types import Doubles
from tests import numeric
from tests.workers.ranker import golden
from tests.workers.ranker.queries import of_tokens, rank
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig, batches
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.fusion import Fusion, ScoreWeights
from workers.ranker.scoring.relo_ranker import KIND, RankerConfig, ReloRanker
from workers.ranker.stores.checkpoint import save_model
from workers.ranker.stores.features import FRAMES, SUBTITLES, FeatureMaps, FeatureStream

GOLDEN = golden.values("refine_data")
VIDEOS = sorted(GOLDEN["corpus"])
TINY = RankerConfig(
    ReloConfig(
        visual_dim=6, subtitle_dim=5, query_dim=4, hidden=8, heads=2, window=WindowConfig(clip_length=1.0)
    ),
    DecodeConfig(min_span=1),
)


def published_contexts() -> FeatureMaps:
    stored = golden.arrays("refine_data")
    streams = {}
    for name, prefix in ((FRAMES, "video"), (SUBTITLES, "sub")):
        parts = [stored[f"{prefix}/{video}"] for video in VIDEOS]
        streams[name] = FeatureStream.of(np.concatenate(parts), [len(part) for part in parts], 1.5)
    return FeatureMaps(streams, np.array([GOLDEN["corpus"][video] for video in VIDEOS]))


def random_contexts(lengths: list[int]) -> FeatureMaps:
    rng = np.random.default_rng(1)
    streams = {
        name: FeatureStream.of(rng.normal(size=(sum(lengths), dim)).astype(np.float32), lengths, 1.0)
        for name, dim in ((FRAMES, 6), (SUBTITLES, 5))
    }
    return FeatureMaps(streams, np.array(lengths, float))


@pytest.mark.parametrize(
    ("query", "context"), list(itertools.product("789", [0, 4, 8])), ids=lambda x: str(x)
)
def test_refined_moments_are_the_published_ones(query: str, context: int) -> None:
    model = golden.relo()
    sizes = {name: getattr(model.config, name) for name in ("visual_dim", "subtitle_dim", "query_dim")}
    window = WindowConfig(context=float(context), padding="published")
    again = Relo(ReloConfig(hidden=32, heads=4, window=window, **sizes))
    again.load_state_dict(model.state_dict())
    proposals = GOLDEN["proposals"][query]
    asked = of_tokens(
        golden.arrays("refine_data")[f"query/{query}"],
        np.array([VIDEOS.index(proposal["video_name"]) for proposal in proposals], np.int32),
        np.array([proposal["timestamp"] for proposal in proposals], float),
    )
    columns = rank(ReloRanker(again, DecodeConfig()), asked, published_contexts())
    expected = GOLDEN["expected"]["results"][f"ctx{context}"]["pred"][query]
    # Windows too short for a span score 0 there, with an arbitrary span; here they keep the coarse one.
    expected = [moment for moment in expected if moment["model_scores"] > 0]
    assert columns.refined.sum() == len(expected)
    order = np.argsort(-columns.scores, kind="stable")
    order = order[columns.refined[order]]
    assert [moment["video_name"] for moment in expected] == [proposals[row]["video_name"] for row in order]
    numeric.close(columns.spans[order], [m["timestamp"] for m in expected])
    numeric.close(columns.scores[order], np.log([m["model_scores"] for m in expected]))


def test_batches_hold_every_window_once_and_little_padding() -> None:
    lengths = np.random.default_rng(0).integers(0, 129, 400)
    parts = batches(lengths)
    assert sorted(np.concatenate(parts).tolist()) == np.flatnonzero(lengths).tolist()
    for part in parts:
        assert lengths[part].max() <= 1.25 * lengths[part].min() + 1
    assert batches(np.zeros(3, np.int64)) == []


def test_the_answer_does_not_depend_on_what_is_ranked_together() -> None:
    torch.manual_seed(0)
    ranker, contexts = ReloRanker(Relo(TINY.model), TINY.decode), random_contexts([30, 3, 0, 200])
    videos = np.array([0, 3, 1, 2, 3, 0], np.int32)
    spans = np.array([[4.0, 8], [0, 190], [0, 3], [0, 4], [40, 44], [28, 30]])
    coarse = np.arange(6, dtype=np.float32)
    tokens = np.random.default_rng(2).normal(size=(5, 4)).astype(np.float32)
    together = rank(ranker, of_tokens(tokens, videos, spans, coarse), contexts)
    assert together.refined.tolist() == [True, True, True, False, True, True]
    assert together.relevances[3] == -1.0
    assert (together.spans[:, 1] <= contexts.durations[videos] + 1e-9)[[0, 1, 2, 4, 5]].all()
    for row in range(6):
        one = slice(row, row + 1)
        alone = rank(ranker, of_tokens(tokens, videos[one], spans[one], coarse[one]), contexts)
        np.testing.assert_array_equal(alone.spans[0], together.spans[row])
        numeric.close(alone.scores[0], together.scores[row])
    none = rank(ranker, of_tokens(tokens, videos[:0], spans[:0]), contexts)
    assert len(none) == 0


def test_a_saved_ranker_ranks_as_before(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model, contexts = Relo(TINY.model), random_contexts([40])
    fingerprint = save_model(tmp_path / "ranker", KIND, TINY, model.state_dict(), encoder="abc")
    spans = np.array([[0.0, 4.0], [20.0, 28.0]])
    asked = of_tokens(np.ones((3, 4), np.float32), np.zeros(2, np.int32), spans)
    opened = ReloRanker.open(tmp_path / "ranker")
    assert opened.name == f"relo@{fingerprint}"
    assert opened.decode == TINY.decode
    np.testing.assert_array_equal(
        rank(opened, asked, contexts).scores,
        rank(ReloRanker(model, TINY.decode), asked, contexts).scores,
    )
    save_model(tmp_path / "other", "projector", TINY, model.state_dict())
    with pytest.raises(InvalidInput, match="not a ranker"):
        ReloRanker.open(tmp_path / "other")


def test_confidence_is_that_of_the_videos_that_were_searched() -> None:
    fusion = Fusion(ScoreWeights(span_relevance=1.0), ScoreWeights(), log_share=-0.5)
    ranker = ReloRanker(Relo(TINY.model).eval(), DecodeConfig(min_span=1, fusion=fusion))
    contexts = random_contexts([20] * 8)
    tokens, one = np.ones((3, 4), np.float32), np.zeros(1, np.int32)
    asked = of_tokens(tokens, one, np.array([[4.0, 12.0]]))
    alone = wire_rank.query_from_pb(
        wire_rank.query_to_pb(replace(asked, text_embedding=np.zeros(6, np.float32), searched=1)),
        4,
        6,
        contexts.durations,
    )
    # The best of one video is less of a sign than the best of eight.
    among, by_itself = (ranker.rank_many([query], contexts)[0].confidences for query in (asked, alone))
    for sure, videos in ((among, 8), (by_itself, 1)):
        assert sure == pytest.approx(1 / (1 + np.exp(0.5 * np.log(0.5 / videos))), rel=1e-6)
    with pytest.raises(InvalidInput, match="the version has 8 videos"):
        wire_rank.query_from_pb(wire_rank.query_to_pb(replace(alone, searched=9)), 4, 6, contexts.durations)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (np.zeros(3), "3 values for 1 proposals"),
        (np.full(4, np.nan), "not within"),
        (np.full(4, 2.0), "not within"),
    ],
)
def test_texts_that_no_list_has_are_refused(texts: Doubles, message: str) -> None:
    asked = of_tokens(np.ones((3, 4), np.float32), np.zeros(1, np.int32), np.array([[4.0, 12.0]]))
    request = wire_rank.query_to_pb(replace(asked, text_embedding=np.zeros(6, np.float32)))
    assert wire_rank.query_from_pb(request, 4, 6, np.array([20.0])).texts is None
    request.texts = wire.floats_to_bytes(np.array([0.5, -0.25, 0, 1.0]))
    found = wire_rank.query_from_pb(request, 4, 6, np.array([20.0])).texts
    assert found is not None
    assert found.tolist() == [[0.5, -0.25, 0, 1.0]]
    request.texts = wire.floats_to_bytes(texts)
    with pytest.raises(InvalidInput, match=message):
        wire_rank.query_from_pb(request, 4, 6, np.array([20.0]))
