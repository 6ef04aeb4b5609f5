"""How sure a match has to be, with every video judged alone."""

import numpy as np
import pytest

from engine.values import filled
from tests.trainer.ranker.test_fusion import VIDEOS, world
from trainer.ranker.alone import judged, table, with_table
from trainer.ranker.fusion import fit_fusion
from workers.ranker.scoring.fusion import Fusion


def test_the_table_has_the_lowest_confidence_that_is_right_so_often() -> None:
    sure = np.linspace(1, 0, 101)
    right = np.arange(101) < 40
    found = dict(table(sure, right))
    # Forty right ones and as many wrong ones; of 0.8, fifty.
    assert [found[0.5], found[0.8]] == pytest.approx([0.21, 0.51])
    assert list(found.values()) == sorted(found.values())
    # Fewer than twenty matches say nothing.
    assert table(sure, np.arange(101) < 9) == ()


def test_precisions_are_reached_on_queries_never_seen() -> None:
    answers, truths = world(60, 0, answerable=0.6)
    fusion = with_table(
        fit_fusion(answers, truths, VIDEOS), answers, truths, lambda a, t: fit_fusion(a, t, VIDEOS)
    )
    pairs = [pair for one in zip(*world(60, 1, answerable=0.6), strict=True) for pair in judged(fusion, *one)]
    sure, right = (np.concatenate(column) for column in zip(*pairs, strict=True))
    assert dict(fusion.alone).keys() >= {0.5, 0.7}
    for precision, confidence in fusion.alone:
        assert right[sure >= confidence].mean() > precision - 0.1


def test_a_table_is_kept_with_the_ranker() -> None:
    values = {"score": {}, "confidence": {}, "alone": [[0.5, 0.25], [0.9, 0.75]]}
    assert filled(Fusion, values, "config.json").alone == ((0.5, 0.25), (0.9, 0.75))
