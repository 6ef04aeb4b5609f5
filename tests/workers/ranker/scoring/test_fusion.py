import json
from dataclasses import asdict, replace

import numpy as np

from engine.temporal import demoted
from engine.types import Ranked, RankQuery
from engine.values import filled
from tests import numeric
from tests.workers.ranker import golden
from tests.workers.ranker.queries import of_tokens
from workers.ranker.model.windows import WindowConfig, arrange
from workers.ranker.scoring.decode import DecodeConfig, ranked
from workers.ranker.scoring.evidence import Evidence
from workers.ranker.scoring.fusion import COLUMNS, Fusion, ScoreWeights, columns, log_shares

FUSION = Fusion(
    score=ScoreWeights(span_relevance=2.0, coarse=0.5, log_length=-1.0),
    confidence=ScoreWeights(bias=-1.0, relevance=4.0),
    overlap=0.5,
    confidence_threshold=0.3,
    log_share=0.5,
)


def found(n: int) -> Evidence:
    rng = np.random.default_rng(0)
    evidence = replace(Evidence.empty(n), start=np.arange(n), end=np.arange(n) + 3)
    for name in ("log_start", "log_end", "relevance", "span_relevance", "contrast"):
        getattr(evidence, name)[:] = rng.normal(size=n)
    return evidence


def test_columns_are_what_their_names_say() -> None:
    evidence, coarse = found(4), np.array([0.1, 0.4, 0.2, 0.3], np.float32)
    spans = np.array([[0.0, 1], [2, 4], [0, 8], [5, 5]])
    texts = np.arange(16.0).reshape(4, 4)
    by_name = dict(zip(COLUMNS, columns(evidence, spans, coarse, texts).T, strict=True))
    assert list(by_name) == list(asdict(ScoreWeights()))[1:]
    assert by_name["written_words"].tolist() == [2, 6, 10, 14]
    numeric.close(by_name["log_rank"], np.log1p([3, 0, 2, 1]), numeric.FLOAT64)
    numeric.close(by_name["log_length"], np.log([1, 2, 8, 0.1]), numeric.FLOAT64)
    numeric.close(by_name["log_probability"], evidence.log_start + evidence.log_end, numeric.FLOAT64)
    numeric.close(by_name["coarse"], coarse, numeric.FLOAT64)


def test_fused_answers_are_weighed_sums_and_probabilities() -> None:
    evidence, coarse = found(3), np.array([0.5, 0.2, 0.1], np.float32)
    videos, spans = np.array([0, 1, 2], np.int32), np.array([[0.0, 9], [0, 9], [0, 9]])
    windows = arrange(videos, spans, np.full(3, 60.0), np.full(3, 60), WindowConfig(clip_length=1.0))
    query = of_tokens(np.zeros((1, 4), np.float32), videos, spans, coarse)
    answer = ranked(query, windows, evidence, np.full(3, 60.0), DecodeConfig(fusion=FUSION), 20, "relo")
    weighed = 2 * evidence.span_relevance.astype(float) + 0.5 * coarse - np.log(4)
    numeric.close(answer.scores, weighed, numeric.FLOAT64)
    assert answer.confidences is not None
    places = np.argsort(np.argsort(-weighed))
    logits = 4 * evidence.relevance - 1 + 0.5 * np.log((places + 0.5) / 20)
    numeric.close(answer.confidences, 1 / (1 + np.exp(-logits)))
    assert answer.confidence_threshold == 0.3
    bare = ranked(query, windows, evidence, np.full(3, 60.0), DecodeConfig(), 20, "relo")
    assert bare.confidences is None
    np.testing.assert_array_equal(bare.spans, answer.spans)


def test_texts_move_the_score_by_their_weights_and_only_then_count_as_weighed() -> None:
    evidence, coarse = found(3), np.array([0.5, 0.2, 0.1], np.float32)
    videos, spans = np.array([0, 1, 2], np.int32), np.array([[0.0, 9], [0, 9], [0, 9]])
    windows = arrange(videos, spans, np.full(3, 60.0), np.full(3, 60), WindowConfig(clip_length=1.0))
    silent = of_tokens(np.zeros((1, 4), np.float32), videos, spans, coarse)
    texts = np.array([[1.0, 0.9, 0.5, 0.7], [0.2, 0.85, 0, 0], [0, 0, 0, 0]], np.float32)
    told = replace(silent, texts=texts)

    def answer(query: RankQuery, fusion: Fusion) -> Ranked:
        return ranked(query, windows, evidence, np.full(3, 60.0), DecodeConfig(fusion=fusion), 20, "relo")

    before, same = answer(silent, FUSION), answer(told, FUSION)
    assert not same.texts_weighed
    assert before.confidences is not None
    assert same.confidences is not None
    np.testing.assert_array_equal(before.scores, same.scores)
    np.testing.assert_array_equal(before.confidences, same.confidences)
    weights = replace(FUSION.score, said_words=2.0, said_meaning=10.0, written_words=3.0, written_meaning=5.0)
    fitted = replace(FUSION, score=weights, usual_cosine=0.8)
    assert answer(told, fitted).texts_weighed
    moved = [2 + 10 * (1 + 0.14 / 0.16) / 2 + 3, 1 + 0.03 / 0.13, 0]
    numeric.close(answer(told, fitted).scores - before.scores, moved, 1e-6)
    assert not answer(silent, fitted).texts_weighed
    np.testing.assert_array_equal(answer(silent, fitted).scores, before.scores)


def test_older_checkpoints_call_the_threshold_otherwise() -> None:
    values = {"score": {"relevance": 1.0}, "confidence": {}}
    wanted = Fusion(ScoreWeights(relevance=1.0), ScoreWeights(), confidence_threshold=0.25)
    for name in ("nothing_below", "confidence_threshold"):
        assert filled(Fusion, {**values, name: 0.25}, "config.json") == wanted


def test_a_place_counts_by_the_size_of_the_corpus() -> None:
    scores = np.array([3.0, 5.0, 1.0])
    numeric.close(np.exp(log_shares(scores, 10)), [0.15, 0.05, 0.25], numeric.FLOAT64)
    numeric.close(log_shares(scores, 10) - log_shares(scores, 40), np.log(4), numeric.FLOAT64)


def test_repeated_moments_come_after_all_others() -> None:
    videos = np.array([0, 0, 0, 1], np.int32)
    spans = np.array([[0.0, 10], [1, 10], [20, 30], [0, 10]])
    scores = np.array([3.0, 2.0, 1.0, -5.0])
    assert np.argsort(-demoted(scores, videos, spans, 0.5)).tolist() == [0, 2, 3, 1]
    np.testing.assert_array_equal(demoted(scores, videos, spans, 1.0), scores)
    assert not len(demoted(scores[:0], videos[:0], spans[:0], 0.5))


def test_a_fusion_survives_a_checkpoint() -> None:
    config = DecodeConfig(min_span=1, max_span=40, fusion=FUSION)
    assert filled(DecodeConfig, json.loads(json.dumps(asdict(config))), "here") == config
    assert filled(DecodeConfig, json.loads(json.dumps(asdict(DecodeConfig()))), "here") == DecodeConfig()


def test_published_checkpoints_know_no_fusion() -> None:
    assert golden.relo().config.context_encoder == "attention"
