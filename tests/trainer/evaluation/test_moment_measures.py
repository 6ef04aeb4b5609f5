"""Every measure against a plain loop over the published definition."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests import numeric
from trainer.evaluation.judged import Judgements, Ranking, Rankings, Truth
from trainer.evaluation.matching import THRESHOLDS, average_precisions, best_iou
from trainer.evaluation.measures import AP, FIGURES, Absent, Recall
from trainer.evaluation.scores import evaluate

Span = tuple[float, float]


def overlap(one: Span, other: Span) -> float:
    shared = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    joint = one[1] - one[0] + other[1] - other[0] - shared
    return shared / joint if joint > 0 else 0.0


def oracle_precision(predictions: list[Span], moments: list[Span], limit: float) -> float:
    """Greedy one-to-one matching, then the interpolated area, step by step."""
    taken: set[int] = set()
    hits = []
    for prediction in predictions[:10]:
        order = sorted(range(len(moments)), key=lambda m: -overlap(prediction, moments[m]))
        hit = False
        for moment in order:
            if overlap(prediction, moments[moment]) < limit:
                break
            if moment not in taken:
                taken.add(moment)
                hit = True
                break
        hits.append(hit)
    precisions = [0.0] + [sum(hits[: n + 1]) / (n + 1) for n in range(len(hits))] + [0.0]
    recalls = [0.0] + [sum(hits[: n + 1]) / len(moments) for n in range(len(hits))] + [1.0]
    for n in reversed(range(len(precisions) - 1)):
        precisions[n] = max(precisions[n], precisions[n + 1])
    return sum((recalls[n] - recalls[n - 1]) * precisions[n] for n in range(1, len(recalls)))


def ranking(spans: list[Span], video: str = "v") -> Ranking:
    return Ranking.of([video] * len(spans), spans)


def truth(spans: list[Span], grades: Any = None) -> Judgements:
    return Judgements(
        np.array(["v"] * len(spans), str),
        np.array(spans, np.float64).reshape(-1, 2),
        np.array(grades or [1.0] * len(spans), np.float64),
    )


MEAN = str(AP())


def moment_figures(run: Rankings, judged: Truth, absent: Absent = "zero") -> dict[str, float]:
    return evaluate(run, judged, [m for m in FIGURES if isinstance(m, Recall | AP)], absent=absent)


spans = st.tuples(st.integers(0, 40), st.integers(1, 20)).map(lambda s: (float(s[0]), float(s[0] + s[1])))


@settings(max_examples=150, deadline=None)
@given(st.lists(spans, max_size=14), st.lists(spans, min_size=1, max_size=5, unique=True))
def test_precision_is_that_of_the_loop(predictions: list[Span], moments: list[Span]) -> None:
    found = average_precisions(ranking(predictions), truth(moments))
    expected = [oracle_precision(predictions, moments, limit) for limit in THRESHOLDS]
    numeric.close(found, expected, numeric.FLOAT64)
    best = max((overlap(predictions[0], moment) for moment in moments), default=0.0) if predictions else 0.0
    assert best_iou(ranking(predictions), truth(moments)) == pytest.approx(best)


def test_a_case_by_hand() -> None:
    moments = [(0.0, 10.0), (20.0, 30.0)]
    predictions = [(0.0, 8.0), (50.0, 60.0), (20.0, 29.0), (0.0, 10.0)]
    figures = moment_figures({1: ranking(predictions)}, {1: truth(moments)})
    assert figures["R@1,IoU>=0.5"] == figures["R@1,IoU>=0.7"] == 1.0
    # Found at ranks 1 and 3: precision 1 and 2/3.
    assert figures["mAP,IoU>=0.5"] == pytest.approx((1 + 2 / 3) / 2)
    # Above 0.8 the first is no hit, so the exact fourth is; above 0.9 only it is.
    found = average_precisions(ranking(predictions), truth(moments))
    assert found[THRESHOLDS.index(0.85)] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert found[THRESHOLDS.index(0.95)] == pytest.approx((1 / 4) / 2)
    assert figures[MEAN] == pytest.approx(found.mean())


def test_other_videos_grades_and_absent_queries() -> None:
    here = [(0.0, 10.0)]
    judged = {1: truth(here), 2: truth(here, [0.0]), 3: truth(here)}
    figures = moment_figures({1: ranking(here), 2: ranking(here)}, judged)
    assert figures["R@1,IoU>=0.5"] == 0.5
    assert moment_figures({1: ranking(here)}, judged, absent="skip")[MEAN] == 1.0
    assert moment_figures({1: ranking(here, "another")}, judged)[MEAN] == 0.0
    assert moment_figures({}, {}) == dict.fromkeys(figures, 0.0)


def test_only_ten_predictions_count() -> None:
    wrong = [(30.0, 31.0)] * 10
    assert not average_precisions(ranking([*wrong, (0.0, 10.0)]), truth([(0.0, 10.0)])).any()
