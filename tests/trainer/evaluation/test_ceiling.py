"""The ceiling against trying every way to turn proposals into moments."""

import itertools

import numpy as np
import pytest

from tests import numeric
from trainer.evaluation.ceiling import best_ndcg, ceiling, matched
from trainer.evaluation.judged import Judgements, Ranking
from trainer.evaluation.matching import TVR_RANKING, dcg
from trainer.evaluation.measures import NDCG, NDCGS, ndcg

MEASURES = (NDCG(1, 0.5), NDCG(3, 0.5), NDCG(3, 0.7))


def truth(*rows: tuple[str, float, float, float]) -> Judgements:
    videos, starts, ends, grades = zip(*rows, strict=True)
    return Judgements(
        np.array(videos), np.stack([starts, ends], axis=1).astype(float), np.array(grades, float)
    )


def slow(proposals: Ranking, judged: Judgements, k: int) -> float:
    """Try every assignment of proposals to true moments that they overlap."""
    options: list[list[int]] = []
    for video, (start, end) in zip(proposals.videos, proposals.spans, strict=True):
        touched = [
            row
            for row, (first, last) in enumerate(judged.spans)
            if judged.videos[row] == video and min(end, last) > max(start, first)
        ]
        options.append([-1, *touched])
    ideal = dcg(np.sort(judged.relevances)[::-1][:k])
    best = 0.0
    for choice in itertools.product(*options):
        grades = np.sort([judged.relevances[row] for row in set(choice) - {-1}])[::-1]
        best = max(best, float(dcg(grades[:k])))
    return best / float(ideal) if ideal else 0.0


def test_the_ceiling_is_the_best_of_all_assignments() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        count, many = int(rng.integers(0, 6)), int(rng.integers(1, 6))
        spans = rng.integers(0, 20, (count, 1)) + np.array([0.0, 6.0])
        proposals = Ranking.of(rng.choice(["a", "b"], count), spans)
        starts = rng.integers(0, 20, (many, 1)) + np.array([0.0, 8.0])
        judged = Judgements(rng.choice(["a", "b"], many), starts, rng.integers(0, 5, many).astype(float))
        found = best_ndcg(proposals, judged, MEASURES)
        expected = [slow(proposals, judged, measure.k) for measure in MEASURES]
        numeric.close(found, expected, numeric.FLOAT64)


def test_no_ranking_of_refined_proposals_beats_it() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        starts, firsts = rng.integers(0, 60, (8, 1)), rng.integers(0, 60, (12, 1))
        grades = rng.integers(0, 5, 8).astype(np.float64)
        judged = Judgements(rng.choice(["a", "b"], 8), starts + np.array([0.0, 9.0]), grades)
        proposals = Ranking.of(rng.choice(["a", "b"], 12), firsts + np.array([0.0, 4.0]))
        best = best_ndcg(proposals, judged, NDCGS)
        assert (ndcg(proposals, judged, NDCGS) <= best + 1e-12).all()
        assert (best <= 1 + 1e-12).all()


def test_a_long_proposal_leads_to_one_moment_or_to_as_many_as_allowed() -> None:
    judged = truth(("a", 0, 8, 4), ("a", 10, 18, 4), ("b", 0, 8, 2))
    proposals = Ranking.of(["a"], [(0, 20)])
    one, two = (best_ndcg(proposals, judged, [NDCG(10, 0.5)], spans=spans)[0] for spans in (1, 2))
    ideal = dcg(np.array([4.0, 4.0, 2.0]))
    assert one == pytest.approx(dcg(np.array([4.0])) / ideal)
    assert two == pytest.approx(dcg(np.array([4.0, 4.0])) / ideal)


def test_a_bounded_view_cuts_long_moments() -> None:
    judged = truth(("a", 10, 30, 4))
    proposals = Ranking.of(["a"], [(10, 14)])
    measures = [NDCG(10, 0.3), NDCG(10, 0.5), NDCG(10, 0.7)]
    assert best_ndcg(proposals, judged, measures).tolist() == [1, 1, 1]
    # The window is [6, 18): 8 of 20 seconds.
    assert best_ndcg(proposals, judged, measures, reach=4.0).tolist() == [1, 0, 0]
    assert best_ndcg(proposals, judged, measures, reach=6.0).tolist() == [1, 1, 0]
    assert best_ndcg(proposals, judged, measures, reach=16.0).tolist() == [1, 1, 1]


def test_matching_makes_room() -> None:
    # The first row takes the only column of the second, unless it moves on.
    leads = np.array([[True, True], [True, False], [False, True]])
    assert matched(leads, 40).tolist() == [0, 1]
    assert matched(leads, 1).tolist() == [0]
    assert matched(np.zeros((2, 0), bool), 40).tolist() == []


def test_queries_count_as_in_the_measures() -> None:
    judged = {1: truth(("a", 0, 8, 4)), 2: truth(("a", 0, 8, 0)), 3: truth(("b", 0, 8, 1))}
    proposals = {1: Ranking.of(["a"], [(0, 4)])}
    assert {q: v[0] for q, v in ceiling(proposals, judged).items()} == {1: 1.0, 3: 0.0}
    assert set(ceiling(proposals, judged, absent="skip")) == {1}
    assert set(ceiling(proposals, judged, protocol=TVR_RANKING)) == {1, 2, 3}
