"""Chains of moments, against brute force."""

import itertools
import random
from collections.abc import Sequence

import numpy as np
import pytest

from engine import sequences
from engine.sequences import Candidates, Chains, join, log_probabilities, promising
from tests.numeric import close

Chain = tuple[float, tuple[int, ...]]


def brute(parts: Sequence[Candidates], within: float) -> list[Chain]:
    """All chains there are; then the best one, without those that share its first or last, and so on."""
    found: list[Chain] = []
    for rows in itertools.product(*(range(len(part)) for part in parts)):
        videos = {int(part.videos[row]) for part, row in zip(parts, rows, strict=True)}
        spans = [part.spans[row] for part, row in zip(parts, rows, strict=True)]
        in_order = all(
            before[0] < after[0] and after[0] - before[1] <= within
            for before, after in itertools.pairwise(spans)
        )
        if len(videos) == 1 and in_order:
            found.append((sum(float(p.logs[r]) for p, r in zip(parts, rows, strict=True)), rows))
    found.sort(key=lambda chain: -chain[0])
    kept: list[Chain] = []
    for logs, rows in found:
        if not any(rows[0] == other[0] or rows[-1] == other[-1] for _, other in kept):
            kept.append((logs, rows))
    return kept


def randomly(chance: random.Random, videos: int = 3, most: int = 8) -> Candidates:
    n = chance.randrange(most + 1)
    starts = np.array([chance.uniform(0, 60) for _ in range(n)])
    spans = np.stack([starts, starts + [chance.uniform(1, 15) for _ in range(n)]], axis=1).reshape(n, 2)
    of = np.array([chance.randrange(videos) for _ in range(n)], np.int32)
    return Candidates(of, spans, np.array([chance.uniform(-5, 0) for _ in range(n)]))


def listed(chains: Chains) -> list[Chain]:
    rows = [tuple(row) for row in chains.rows.tolist()]
    return list(zip(chains.logs.round(9).tolist(), rows, strict=True))


@pytest.mark.parametrize("parts", [2, 3, 4])
def test_chains_are_those_of_brute_force(parts: int) -> None:
    chance, seen = random.Random(parts), 0
    for _ in range(30 * parts):
        some = [randomly(chance, videos=2, most=(0, 0, 9, 7, 6)[parts]) for _ in range(parts)]
        within = chance.choice([0.0, 3.0, 30.0])
        expected = [(round(logs, 9), rows) for logs, rows in brute(some, within)]
        assert listed(join(some, within)) == expected
        seen += len(expected)
    assert seen > 5


def test_many_candidates_of_one_video_stay_bounded() -> None:
    chance = random.Random(1)
    some = [randomly(chance, videos=1, most=0) for _ in range(5)]
    n = 400
    starts = np.sort(np.array([chance.uniform(0, 600) for _ in range(n)]))
    spans = np.stack([starts, starts + 5], axis=1)
    many = [Candidates(np.zeros(n, np.int32), spans, np.arange(n) / -n) for _ in some]
    chains = join(many, 30.0)
    assert 0 < len(chains) <= sequences.MOST_CANDIDATES
    assert (chains.rows < sequences.MOST_CANDIDATES).all()


def test_a_promising_candidate_needs_company_in_its_video() -> None:
    one = Candidates(np.array([0, 1, 2], np.int32), np.zeros((3, 2)), np.array([-0.1, -0.2, -0.3]))
    other = Candidates(np.array([2, 1, 1], np.int32), np.zeros((3, 2)), np.array([-3.0, -0.1, -0.2]))
    first, second = promising([one, other], None)
    assert (first.tolist(), second.tolist()) == ([1, 2], [0, 1, 2])
    # Of each the one of video 1, where the whole chain is likeliest.
    assert [rows.tolist() for rows in promising([one, other], 1)] == [[1], [1]]


def test_confidences_are_probabilities_and_scores_say_what_stands_out() -> None:
    sure = log_probabilities(np.array([1.0, 0.5, 0.0], np.float32), np.zeros(3))
    close(np.exp(sure), [1.0, 0.5, 0.0], 1e-8)
    scores = np.array([10.0, 30.0, 20.0])
    logs = log_probabilities(None, scores)
    assert logs.argsort().tolist() == scores.argsort().tolist()
    close(logs, log_probabilities(None, scores * 7 - 3), 1e-9)
    assert np.isfinite(log_probabilities(None, np.ones(4))).all()
