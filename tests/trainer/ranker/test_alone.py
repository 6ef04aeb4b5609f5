"""How sure a match has to be, with every video judged alone."""

import numpy as np
import pytest

from engine.values import filled
from tests.trainer.ranker.test_fusion import VIDEOS, world
from trainer.evaluation.judged import Judgements
from trainer.ranker.alone import Judged, judged, lower, table, with_table
from trainer.ranker.fusion import FEW, Answers, fit_fusion
from workers.ranker.scoring.fusion import Fusion

MANY = 60  # videos, and queries


def moments(right: int, wrong: int, videos: int = MANY, queries: int = MANY) -> Judged:
    """Right moments first, then as sure ones that are wrong."""
    rows = np.arange(right + wrong)
    return Judged(1 - rows / 1000, rows < right, rows % videos, rows % queries)


def test_a_precision_has_the_lowest_confidence_that_supports_it() -> None:
    found = dict(table(moments(60, 140)))
    # Of as many trials as there are videos: lower(0.6, 60) = 0.494, and 60 of 98 are 0.612.
    assert found[0.5] == pytest.approx(1 - 97 / 1000)
    assert list(found.values()) == sorted(found.values())
    assert lower(np.array([60 / 98]), np.array([MANY])) >= 0.5 > lower(np.array([60 / 100]), np.array([MANY]))


def test_many_matches_of_few_videos_or_queries_promise_nothing() -> None:
    assert dict(table(moments(400, 0))).keys() >= {0.9, 0.95}
    assert max(dict(table(moments(400, 0, videos=FEW)))) == 0.85
    assert max(dict(table(moments(400, 0, queries=FEW)))) == 0.85
    assert table(moments(400, 0, videos=FEW - 1)) == ()
    assert table(moments(400, 0, queries=FEW - 1)) == ()
    assert table(Judged.of(())) == ()


def spread(queries: int, seed: int) -> tuple[list[Answers], list[Judgements]]:
    """A world of two and a half dozen videos."""
    return world(queries, seed, answerable=0.6, videos=30)


def test_precisions_are_reached_on_queries_never_seen() -> None:
    answers, truths = spread(60, 0)
    fusion = with_table(fit_fusion(answers, truths, 30), answers, truths, lambda a, t: fit_fusion(a, t, 30))
    pairs = [pair for one in zip(*spread(60, 1), strict=True) for pair in judged(fusion, *one)]
    sure, right = (np.concatenate(column) for column in list(zip(*pairs, strict=True))[:2])
    assert dict(fusion.alone).keys() >= {0.5, 0.7}
    for precision, confidence in fusion.alone:
        assert right[sure >= confidence].mean() >= precision


def test_a_dozen_videos_promise_nothing() -> None:
    answers, truths = world(60, 0, answerable=0.6)
    fusion = fit_fusion(answers, truths, VIDEOS)
    assert with_table(fusion, answers, truths, lambda a, t: fit_fusion(a, t, VIDEOS)).alone == ()


def test_a_table_is_kept_with_the_ranker() -> None:
    values = {"score": {}, "confidence": {}, "alone": [[0.5, 0.25], [0.9, 0.75]]}
    assert filled(Fusion, values, "config.json").alone == ((0.5, 0.25), (0.9, 0.75))
