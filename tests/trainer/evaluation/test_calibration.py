"""Calibration measures against loops, and the figures of a run that carries confidence."""

from pathlib import Path

import numpy as np
import pytest

from engine.errors import InvalidInput
from trainer.evaluation.calibration import (
    auroc,
    brier,
    calibration,
    expected_calibration_error,
    reliability,
)
from trainer.evaluation.judged import RIGHT, Judgements, Ranking, Right
from trainer.evaluation.plot import plot_reliability
from trainer.evaluation.runfile import Predicted, load_run, rankings, save_run


def slow_error(confidence: list[float], right: list[bool], bins: int) -> float:
    """Fill bins one by one; what is equal to the first of its kind goes where that went."""
    order = sorted(range(len(confidence)), key=lambda row: confidence[row])
    filled: dict[int, list[int]] = {}
    first_of: dict[float, int] = {}
    for rank, row in enumerate(order):
        first = first_of.setdefault(confidence[row], rank)
        filled.setdefault(int(first * bins / len(confidence)), []).append(row)
    error = 0.0
    for rows in filled.values():
        mean = sum(confidence[row] for row in rows) / len(rows)
        share = sum(right[row] for row in rows) / len(rows)
        error += len(rows) / len(confidence) * abs(mean - share)
    return error


def slow_auroc(scores: list[float], positive: list[bool]) -> float:
    wins, pairs = 0.0, 0
    for one, good in zip(scores, positive, strict=True):
        for other, bad in zip(scores, positive, strict=True):
            if good and not bad:
                pairs += 1
                wins += 1.0 if one > other else 0.5 if one == other else 0.0
    return wins / pairs


@pytest.mark.parametrize("digits", [1, 2, 8])
@pytest.mark.parametrize("bins", [1, 4, 15])
def test_error_and_area_are_those_of_the_loops(digits: int, bins: int) -> None:
    rng = np.random.default_rng(digits)
    confidence = rng.random(80).round(digits)
    right = rng.random(80) < confidence**2
    expected = slow_error(confidence.tolist(), right.tolist(), bins)
    assert expected_calibration_error(confidence, right, bins) == pytest.approx(expected)
    assert auroc(confidence, right) == pytest.approx(slow_auroc(confidence.tolist(), right.tolist()))
    shuffled = rng.permutation(80)
    again = expected_calibration_error(confidence[shuffled], right[shuffled], bins)
    assert again == pytest.approx(expected)


def test_bins_have_equal_mass_and_hold_everything() -> None:
    confidence = np.random.default_rng(0).random(300)
    table = reliability(confidence, confidence > 0.5, bins=15)
    assert table.counts.tolist() == [20] * 15
    assert (np.diff(table.confidence) > 0).all()
    assert np.dot(table.counts, table.right) == pytest.approx((confidence > 0.5).sum())


def test_honest_confidence_has_little_error_and_boasting_has_much() -> None:
    rng = np.random.default_rng(1)
    honest = rng.random(20_000)
    right = rng.random(20_000) < honest
    assert expected_calibration_error(honest, right) < 0.02
    assert expected_calibration_error(honest**0.3, right) > 0.2
    assert brier(honest, right) < brier(honest**0.3, right)


def test_borders() -> None:
    assert expected_calibration_error([], []) == brier([], []) == 0.0
    assert expected_calibration_error([0.7] * 10, [True] * 7 + [False] * 3) == pytest.approx(0.0)
    assert auroc([0.1, 0.2], [True, True]) is None
    assert auroc([0.1, 0.2], [False, True]) == 1.0
    with pytest.raises(InvalidInput, match=r"reaches from 0\.5 to 1\.5"):
        reliability([0.5, 1.5], [True, False])


TRUTH = {
    1: Judgements(np.array(["a", "a"]), np.array([[0.0, 10.0], [20.0, 30.0]]), np.array([4.0, 1.0])),
    2: Judgements(np.array([], str), np.zeros((0, 2)), np.zeros(0)),
}


def test_a_moment_is_right_that_overlaps_a_good_one() -> None:
    ranking = Ranking.of(["a", "a", "a", "b"], [(0, 10), (4, 10), (20, 30), (0, 10)])
    assert RIGHT.moments(ranking, TRUTH[1]).tolist() == [True, True, False, False]
    assert Right(iou=0.7).moments(ranking, TRUTH[1]).tolist() == [True, False, False, False]
    assert Right(grade=1.0).moments(ranking, TRUTH[1]).tolist() == [True, True, True, False]
    assert RIGHT.moments(ranking, TRUTH[2]).tolist() == [False] * 4


ANSWERS = {
    1: [Predicted("a", 0, 10, 2.0, 0.9), Predicted("a", 20, 30, 1.0, 0.4)],
    2: [Predicted("b", 0, 10, 2.0, 0.3)],
    7: [Predicted("a", 0, 10, 2.0, 0.1)],
}


def test_figures_of_a_run(tmp_path: Path) -> None:
    found = calibration(rankings(ANSWERS), TRUTH, bins=3)
    assert found is not None
    figures = found.to_json()
    # Three moments of judged queries: 0.3 wrong, 0.4 wrong, 0.9 right.
    assert (figures["moments"], figures["right"]) == (3, pytest.approx(1 / 3))
    assert figures["ECE"] == pytest.approx((0.3 + 0.4 + 0.1) / 3)
    assert figures["Brier"] == pytest.approx((0.09 + 0.16 + 0.01) / 3)
    assert figures["no-answer"] == {"with": 1, "without": 1, "AUROC": 1.0}
    plot_reliability(found, tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").read_bytes()[:4] == b"\x89PNG"
    assert calibration(rankings({1: [Predicted("a", 0, 10)]}), TRUTH) is None
    assert calibration(rankings({1: []}), TRUTH) is None


def test_confidence_survives_a_run_file(tmp_path: Path) -> None:
    run = {"coarse": {1: [Predicted("a", 0, 10, 0.5)]}, "refined": ANSWERS}
    save_run(tmp_path / "run.json", run)
    assert load_run(tmp_path / "run.json") == run
    assert '"confidence": null' not in (tmp_path / "run.json").read_text()
