"""Chains: moments of several sentences that follow each other in one video ("A, then B"). Arrays alone.

A chain has one candidate a part, all of one video. Each begins after the one before it begins, and at most
`within` seconds after the one before it ends. Its score is the sum of its candidates' log-probabilities: the
logarithm of the probability that all are right, taken as independent.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.types import Doubles, Floats, Ordinals

# Candidates of a part and a video that are joined, the likeliest ones: the work is their number cubed.
MOST_CANDIDATES = 64
# Of a probability, so that its logarithm is finite.
_LEAST = 1e-9

Rows = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Candidates:
    """What may be one part of a chain. videos: (n,). spans: (n, 2) seconds. logs: (n,) log-probabilities."""

    videos: Ordinals
    spans: Doubles
    logs: Doubles

    def __len__(self) -> int:
        return len(self.videos)

    def of(self, rows: Rows) -> "Candidates":
        """Return some rows, in that order."""
        return Candidates(self.videos[rows], self.spans[rows], self.logs[rows])


@dataclass(frozen=True, slots=True)
class Chains:
    """Chains, best first. rows: (m, parts) the candidate of each part. logs: (m,) joint log-probabilities."""

    rows: Rows
    logs: Doubles

    def __len__(self) -> int:
        return len(self.logs)


def log_probabilities(confidences: Floats | None, scores: Doubles) -> Doubles:
    """Return (n,) log-probabilities: of confidences where there are any, else of scores.

    Scores are standardised over the list and put through a logistic function, so that those of several
    sentences compare: they say how much a moment stands out, not how sure anybody is.
    """
    if confidences is not None:
        logs: Doubles = np.log(np.clip(confidences.astype(np.float64), _LEAST, 1.0))
        return logs
    if not len(scores):
        return np.zeros(0)
    spread = float(scores.std()) or 1.0
    logistic: Doubles = -np.logaddexp(0.0, -(scores - scores.mean()) / spread)
    return logistic


def promising(parts: Sequence[Candidates], most: int | None) -> list[Rows]:
    """Return for each part the rows of the `most` candidates with the best chains that can be hoped for.

    That is a candidate with the best of its video for every other part, wherever they lie: boundaries will
    move yet. A candidate of a video where a part has none is in no chain.
    """
    videos = 1 + max((int(part.videos.max(initial=-1)) for part in parts), default=-1)
    bests = np.full((len(parts), videos), -np.inf)
    for best, part in zip(bests, parts, strict=True):
        np.maximum.at(best, part.videos, part.logs)
    whole = bests.sum(axis=0)
    chosen = []
    for best, part in zip(bests, parts, strict=True):
        there = np.flatnonzero(np.isfinite(whole[part.videos]))
        hoped = whole[part.videos[there]] - best[part.videos[there]] + part.logs[there]
        chosen.append(np.sort(there[np.argsort(-hoped, kind="stable")[:most]]))
    return chosen


def join(parts: Sequence[Candidates], within: float) -> Chains:
    """Return the chains of two or more parts, best first.

    Of all with the same first and last candidate the best one; of those, none that shares its first or its
    last with a better one. within: seconds. Of a video the MOST_CANDIDATES likeliest of each part count.
    """
    rows, logs = [np.zeros((0, len(parts)), np.intp)], [np.zeros(0)]
    common = set(parts[0].videos.tolist()).intersection(*(set(part.videos.tolist()) for part in parts[1:]))
    for video in sorted(common):
        own = [_likeliest(part, video) for part in parts]
        joined, scores = _greedy(*_totals([part.of(at) for part, at in zip(parts, own, strict=True)], within))
        rows.append(np.stack([at[column] for at, column in zip(own, joined.T, strict=True)], axis=1))
        logs.append(scores)
    found, joint = np.concatenate(rows), np.concatenate(logs)
    order = np.argsort(-joint, kind="stable")
    return Chains(found[order], joint[order])


def _likeliest(part: Candidates, video: int) -> Rows:
    there = np.flatnonzero(part.videos == video)
    return there[np.argsort(-part.logs[there], kind="stable")[:MOST_CANDIDATES]]


def _follows(spans: Doubles, others: Doubles, within: float) -> NDArray[np.bool_]:
    """Return (n, m) whether the others (m, 2) may follow spans (n, 2) in a chain."""
    later = others[None, :, 0] > spans[:, None, 0]
    return np.asarray(later & (others[None, :, 0] - spans[:, None, 1] <= within))


def _totals(parts: Sequence[Candidates], within: float) -> tuple[Doubles, list[Rows]]:
    """Return the best score (firsts, lasts) of a chain from each first to each last; -inf: there is none.

    And the way back: for each part but the first, (firsts, candidates) the candidate before.
    Dynamic programming over the parts: a matrix product in which + is max and * is +.
    """
    first = parts[0]
    totals = np.where(np.eye(len(first), dtype=bool), first.logs[:, None], -np.inf)
    back = []
    for before, part in itertools.pairwise(parts):
        step = np.where(_follows(before.spans, part.spans, within), part.logs, -np.inf)
        ways = totals[:, :, None] + step[None]
        back.append(ways.argmax(axis=1))
        totals = ways.max(axis=1)
    return totals, back


def _greedy(totals: Doubles, back: Sequence[Rows]) -> tuple[Rows, Doubles]:
    """Take the best chain that is left, again and again; its first and its last are taken with it."""
    chains, scores, left = [], [], totals.copy()
    while left.size and np.isfinite(best := left.max()):
        first, last = np.unravel_index(int(left.argmax()), left.shape)
        left[first], left[:, last] = -np.inf, -np.inf
        chain = [int(last)]
        for before in reversed(back):
            chain.append(int(before[first, chain[-1]]))
        chains.append(chain[::-1])
        scores.append(best)
    return np.array(chains, np.intp).reshape(-1, len(back) + 1), np.array(scores, np.float64)
