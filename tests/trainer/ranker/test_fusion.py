"""Fitting scores and confidences on made-up evidence whose meaning is known."""

from dataclasses import replace

import numpy as np
import pytest

from engine.temporal import demoted
from engine.types import Floats
from trainer.evaluation.judged import Judgements
from trainer.ranker.fusion import Answers, earned, fit_fusion
from workers.ranker.scoring.fusion import COLUMNS, Fusion, confidences

VIDEOS = 12
RELEVANCE, CONTRAST = COLUMNS.index("relevance"), COLUMNS.index("contrast")


def world(
    queries: int, seed: int, answerable: float = 1.0, videos: int = VIDEOS
) -> tuple[list[Answers], list[Judgements]]:
    """Queries with a moment a video, some relevant; relevance and contrast tell, the rest is noise."""
    rng = np.random.default_rng(seed)
    answers, truths = [], []
    for _ in range(queries):
        good = (rng.random(videos) < 0.25) & (rng.random() < answerable)
        columns = rng.normal(size=(videos, len(COLUMNS)))
        columns[:, RELEVANCE] += 2 * good
        columns[:, CONTRAST] = 100 * (columns[:, CONTRAST] + good)
        where, spans = np.arange(videos, dtype=np.int32), np.tile([4.0, 9.0], (videos, 1))
        answers.append(Answers(columns, where, spans))
        truths.append(Judgements(where[good], spans[good] + 0.5, np.full(good.sum(), 4.0)))
    return answers, truths


def confidence(fusion: Fusion, answer: Answers, corpus: int) -> Floats:
    scores = demoted(fusion.score.apply(answer.columns), answer.videos, answer.spans, fusion.overlap)
    return confidences(fusion.logits(answer.columns, scores, corpus))


def test_what_a_moment_earns() -> None:
    videos, spans = np.array([0, 0, 1], np.int32), np.array([[0.0, 10], [0, 6], [0, 10]])
    truth = Judgements(np.array([0, 0]), np.array([[0.0, 10], [0, 5.5]]), np.array([3.0, 1.0]))
    gains, good = earned(Answers(np.zeros((3, 7)), videos, spans), truth)
    # The second overlaps the better moment by 0.6, the lesser one by 0.92.
    assert gains.tolist() == [7, 4, 0]
    assert good.tolist() == [True, True, False]
    empty = Judgements(np.zeros(0), np.zeros((0, 2)), np.zeros(0))
    assert not earned(Answers(np.zeros((3, 7)), videos, spans), empty)[0].any()


def test_what_tells_gets_the_weight_whatever_its_scale() -> None:
    fusion = fit_fusion(*world(80, 0), VIDEOS)
    weights = {name: getattr(fusion.score, name) for name in COLUMNS}
    assert weights["relevance"] > 0.5
    assert weights["contrast"] * 100 > 0.2
    noise = [abs(weights[name]) for name in COLUMNS if name not in ("relevance", "contrast")]
    assert max(noise) < 0.3 * weights["relevance"]


def test_confidences_are_probabilities_of_queries_never_seen() -> None:
    fusion = fit_fusion(*world(150, 0, answerable=0.6), VIDEOS)
    answers, truths = world(150, 1, answerable=0.6)
    sure = np.concatenate([confidence(fusion, answer, VIDEOS) for answer in answers])
    good = np.concatenate([earned(*pair)[1] for pair in zip(answers, truths, strict=True)])
    for low, high in ((0.0, 0.1), (0.1, 0.4), (0.4, 1.0)):
        there = (sure >= low) & (sure < high)
        assert sure[there].mean() == pytest.approx(good[there].mean(), abs=0.06)


def test_confidence_is_fitted_on_the_first_ten_alone() -> None:
    answers, truths = world(60, 0)
    fusion = fit_fusion(answers, truths, VIDEOS)
    sure, right = [], []
    for answer, truth in zip(answers, truths, strict=True):
        first = np.argsort(-fusion.score.apply(answer.columns), kind="stable")[:10]
        sure.append(confidence(fusion, answer, VIDEOS)[first])
        right.append(earned(answer, truth)[1][first])
    # A logistic fit with a bias is right on average over what it was fitted on.
    assert np.concatenate(sure).mean() == pytest.approx(np.concatenate(right).mean(), abs=1e-3)


def test_confidence_holds_among_more_videos() -> None:
    def moody(videos: int, seed: int) -> tuple[list[Answers], list[Judgements]]:
        """Queries that differ in how similar their moments are, right or wrong."""
        rng = np.random.default_rng(seed)
        answers, truths = [], []
        for _ in range(300):
            good = (rng.random(videos) < 0.15) & (rng.random() < 0.8)
            columns = rng.normal(0, 0.3, (videos, len(COLUMNS)))
            columns[:, RELEVANCE] += 1.5 * rng.normal() + rng.normal(size=videos) + 2 * good
            where, spans = np.arange(videos, dtype=np.int32), np.tile([4.0, 9.0], (videos, 1))
            answers.append(Answers(columns, where, spans))
            truths.append(Judgements(where[good], spans[good], np.full(good.sum(), 4.0)))
        return answers, truths

    def promised_too_much(fusion: Fusion, corpus: int) -> float:
        sure, right = [], []
        for answer, truth in zip(*moody(120, 1), strict=True):
            first = np.argsort(-fusion.score.apply(answer.columns), kind="stable")[:10]
            sure.append(confidence(fusion, answer, corpus)[first])
            right.append(earned(answer, truth)[1][first])
        return float(np.mean(sure) - np.mean(right))

    fusion = fit_fusion(*moody(40, 0), 40)
    assert abs(promised_too_much(fusion, corpus=120)) < 0.03
    # As if it did not know how many there are.
    assert abs(promised_too_much(fusion, corpus=40)) > 0.08


def test_the_threshold_follows_the_precision_asked_for() -> None:
    answers, truths = world(150, 0, answerable=0.5)
    low = fit_fusion(answers, truths, VIDEOS, precision=0.6).confidence_threshold
    high = fit_fusion(answers, truths, VIDEOS, precision=0.9).confidence_threshold
    assert 0 < low < high < 1
    assert fit_fusion(answers, truths, VIDEOS, precision=0.05).confidence_threshold == 0


def test_nothing_to_learn_from_is_no_error() -> None:
    answers, truths = world(3, 0, answerable=0.0)
    fusion = fit_fusion(answers, truths, VIDEOS)
    assert fusion.score.span_relevance == 1
    assert confidence(fusion, answers[0], VIDEOS).max() < 0.01


def test_a_text_never_counts_against_a_moment_and_a_silent_channel_counts_as_the_other() -> None:
    answers, truths = world(60, 3)
    rng = np.random.default_rng(3)
    said, harm = COLUMNS.index("said_words"), COLUMNS.index("said_meaning")
    told = []
    for answer, truth in zip(answers, truths, strict=True):
        gain, _ = earned(answer, truth)
        columns = answer.columns.copy()
        columns[:, said:] = 0.0
        columns[:, said] = (gain > 0) * rng.random(len(gain))
        columns[:, harm] = (gain == 0) * rng.random(len(gain))
        told.append(replace(answer, columns=columns))
    fusion = fit_fusion(told, truths, VIDEOS)
    assert fusion.score.said_words > 0
    assert fusion.score.said_meaning == fusion.score.written_meaning == 0
    assert fusion.score.written_words == pytest.approx(fusion.score.said_words, rel=0.1)


def test_a_channel_that_few_queries_ask_for_counts_nearly_as_the_other() -> None:
    def told(said: int, written: int, seed: int) -> list[Answers]:
        """Of each channel the first queries whose texts tell; what is seen finds what is said as well."""
        rng = np.random.default_rng(seed)
        found = []
        for row, (answer, truth) in enumerate(zip(answers, truths, strict=True)):
            good = earned(answer, truth)[0] > 0
            columns = answer.columns.copy()
            columns[:, -4:] = 0.0
            if row < said:
                columns[:, COLUMNS.index("said_words")] = good * rng.uniform(0.5, 1, len(good))
                columns[:, RELEVANCE] += 8 * good
            elif row < said + written:
                columns[:, COLUMNS.index("written_words")] = good * rng.uniform(0.5, 1, len(good))
            found.append(replace(answer, columns=columns))
        return found

    answers, truths = world(60, 5)
    score = fit_fusion(told(3, 12, 5), truths, VIDEOS).score
    assert 0.5 < score.said_words / score.written_words < 1
