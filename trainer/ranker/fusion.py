"""Fit a ranker's final score and its confidence on judged queries.

The score is a listwise fit: the softmax of a query's scores should be what its moments earn at IoU >= 0.5 and
0.7. The confidence is a logistic one: whether a moment overlaps a relevant one, grade 2 or more, by 0.5. It
is fitted on the first moments of every query, those that are looked at: fitted on all, it promises too much
of them. Both are linear in seven columns with a little ridge,
so that they have one optimum and few queries do not fool them.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engine.temporal import iou
from engine.types import Doubles
from trainer.measures import Truth
from workers.ranker.fusion import COLUMNS, Fusion, Weights, demoted

OVERLAPS = (0.5, 0.7)
CONFIDENT_OVERLAP = 0.5
RELEVANT = 2.0
RIDGE = 1e-2
FEW = 20
# Moments a query that confidence is fitted on.
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Answers:
    """One query's ranked moments. columns: (n, 7). videos: (n,). spans: (n, 2)."""

    columns: Doubles
    videos: NDArray[np.int32]
    spans: Doubles


def earned(answers: Answers, truth: Truth) -> tuple[Doubles, NDArray[np.bool_]]:
    """Return what every moment would earn alone, the mean over OVERLAPS, and whether it is relevant: (n,)."""
    overlap = np.zeros((len(answers.spans), len(truth.spans)))
    if overlap.size:
        overlap = iou(answers.spans, truth.spans)
        overlap[answers.videos[:, None] != truth.videos[None]] = 0.0
    gains = np.exp2(truth.relevances) - 1
    parts = [np.where(overlap >= limit, gains, 0.0).max(1, initial=0.0) for limit in OVERLAPS]
    good = (overlap >= CONFIDENT_OVERLAP) & (truth.relevances >= RELEVANT)
    return np.mean(parts, axis=0), np.asarray(good.any(1))


def fit_fusion(
    answers: Sequence[Answers], truths: Sequence[Truth], *, overlap: float = 0.5, precision: float = 0.5
) -> Fusion:
    """Return the fusion fitted on judged queries.

    precision: `nothing_below` is the lowest confidence above which the best moments of queries are right so
    often; 0 where every threshold reaches it or there is nothing to learn from.
    """
    judged = [earned(answer, truth) for answer, truth in zip(answers, truths, strict=True)]
    score = _fit_score([answer.columns for answer in answers], [gain for gain, _ in judged])
    shown = [_first(answer, score, overlap) for answer in answers]
    seen = np.concatenate([answer.columns[rows] for answer, rows in zip(answers, shown, strict=True)])
    good = np.concatenate([right[rows] for (_, right), rows in zip(judged, shown, strict=True)])
    confidence = _fit_confidence(seen, good)
    first = []
    for answer, (_, right) in zip(answers, judged, strict=True):
        if len(right):
            logits = confidence.apply(answer.columns)
            first.append((float(1 / (1 + np.exp(-logits.max()))), bool(right[logits.argmax()])))
    return Fusion(score, confidence, overlap, _threshold(first, precision))


def _first(answer: Answers, score: Weights, overlap: float) -> NDArray[np.int64]:
    """Return the rows of the first SHOWN moments, repeats of better ones behind all others."""
    order = np.argsort(
        -demoted(score.apply(answer.columns), answer.videos, answer.spans, overlap), kind="stable"
    )
    return order[:SHOWN]


def _fit_score(lists: Sequence[Doubles], gains: Sequence[Doubles]) -> Weights:
    rows = [
        (columns, gain / gain.sum()) for columns, gain in zip(lists, gains, strict=True) if gain.sum() > 0
    ]
    if not rows:
        return Weights(span_relevance=1.0)
    middle, spread = _scale(np.concatenate([columns for columns, _ in rows]))
    longest = max(len(columns) for columns, _ in rows)
    inputs, wanted = torch.zeros(len(rows), longest, len(COLUMNS)), torch.zeros(len(rows), longest)
    there = torch.zeros(len(rows), longest, dtype=torch.bool)
    for row, (columns, share) in enumerate(rows):
        inputs[row, : len(columns)] = torch.from_numpy((columns - middle) / spread)
        wanted[row, : len(columns)], there[row, : len(columns)] = torch.from_numpy(share), True

    def loss(weights: torch.Tensor) -> torch.Tensor:
        logits = (inputs @ weights[1:]).masked_fill(~there, -1e4)
        return -(wanted * logits.log_softmax(1)).sum(1).mean() + RIDGE * weights.square().sum()

    return _weights(_minimum(loss), middle, spread, bias=False)


def _fit_confidence(columns: Doubles, good: NDArray[np.bool_]) -> Weights:
    if good.all() or not good.any():
        return Weights(bias=_logit(float(good.mean()) if len(good) else 0.0))
    middle, spread = _scale(columns)
    inputs = torch.from_numpy((columns - middle) / spread).float()
    wanted = torch.from_numpy(good).float()

    def loss(weights: torch.Tensor) -> torch.Tensor:
        logits = inputs @ weights[1:] + weights[0]
        error = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        return error + RIDGE / 10 * weights[1:].square().sum()

    return _weights(_minimum(loss), middle, spread, bias=True)


def _minimum(loss: Callable[[torch.Tensor], torch.Tensor]) -> Doubles:
    """Return where a convex loss of 8 numbers is least."""
    weights = torch.zeros(len(COLUMNS) + 1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weights], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        value = loss(weights)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    found: Doubles = weights.detach().double().numpy()
    return found


def _scale(columns: Doubles) -> tuple[Doubles, Doubles]:
    return columns.mean(0), np.maximum(columns.std(0), 1e-6)


def _weights(found: Doubles, middle: Doubles, spread: Doubles, bias: bool) -> Weights:
    """Return weights of columns as they are, from weights of columns brought to one scale."""
    weights = found[1:] / spread
    start = float(found[0] - weights @ middle) if bias else 0.0
    return Weights(round(start, 6), *(round(float(weight), 6) for weight in weights))


def _threshold(first: Sequence[tuple[float, bool]], precision: float) -> float:
    """Return the lowest confidence at and above which a share `precision` of best moments is right."""
    ordered = sorted(first, reverse=True)
    right = np.cumsum([good for _, good in ordered])
    shares = right / np.arange(1, len(ordered) + 1)
    enough = np.flatnonzero(shares >= precision)
    if len(ordered) < FEW or not len(enough) or enough[-1] == len(ordered) - 1:
        return 0.0
    return round(float(ordered[enough[-1]][0]), 6)


def _logit(share: float) -> float:
    kept: float = min(max(share, 1e-3), 1 - 1e-3)
    return math.log(kept / (1 - kept))
