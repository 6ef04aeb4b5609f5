"""Fit a ranker's final score and its confidence on judged queries.

The score is a listwise fit: the softmax of a query's scores should be what its moments earn at IoU >= 0.5 and
0.7. The confidence is a logistic one: whether a moment overlaps a relevant one, grade 2 or more, by 0.5. It
is fitted on the first moments of every query, which users see: a fit on all moments is overconfident there.
It has one column more, the log of the moment's rank over the corpus size, because the first ten of a larger
corpus are better. Both are linear with a little ridge: one optimum, and no overfitting on few queries.

Few queries of val ask for what is said, or for what is written, and those may be easy: alone they do not tell
what a channel's texts are worth. So a method's weights in both channels are drawn to one another; a channel
that val lacks, or that seems to do harm, weighs nearly as the other.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from engine.temporal import demoted, iou
from engine.types import Doubles
from trainer.evaluation.judged import RIGHT, Judgements, Ranking
from workers.ranker.scoring.fusion import COLUMNS, TEXT_COLUMNS, Fusion, ScoreWeights, confidences, log_shares

OVERLAPS = (0.5, 0.7)
RIDGE = 1e-2
# How strongly, in ridges, one channel's weights are drawn to the other's. Chosen on val, cross-fitted.
ALIKE = 10
FEW = 20


@dataclass(frozen=True, slots=True)
class Answers:
    """One query's ranked moments. columns: (n, 7), with texts (n, 11). videos: (n,). spans: (n, 2)."""

    columns: Doubles
    videos: NDArray[np.int32]
    spans: Doubles


def earned(answers: Answers, truth: Judgements) -> tuple[Doubles, NDArray[np.bool_]]:
    """Return what every moment would earn alone, the mean over OVERLAPS, and whether it is relevant: (n,)."""
    overlap = np.zeros((len(answers.spans), len(truth.spans)))
    if overlap.size:
        overlap = iou(answers.spans, truth.spans)
        overlap[answers.videos[:, None] != truth.videos[None]] = 0.0
    gains = np.exp2(truth.relevances) - 1
    parts = [np.where(overlap >= limit, gains, 0.0).max(1, initial=0.0) for limit in OVERLAPS]
    return np.mean(parts, axis=0), RIGHT.moments(Ranking(answers.videos, answers.spans), truth)


def fit_fusion(
    answers: Sequence[Answers],
    truths: Sequence[Judgements],
    corpus: int,
    *,
    overlap: float = 0.5,
    precision: float = 0.5,
) -> Fusion:
    """Return the fusion fitted on judged queries.

    corpus: the videos that were searched. precision: `confidence_threshold` is the lowest confidence above
    which the best moments of queries are right so often; 0 where every threshold reaches it or there
    is nothing to learn from.
    """
    judged = [earned(answer, truth) for answer, truth in zip(answers, truths, strict=True)]
    gains = [gain for gain, _ in judged]
    score = _fit_score([answer.columns for answer in answers], gains)
    while harmful := [name for name in TEXT_COLUMNS if getattr(score, name) < 0]:
        # What a text has of the query is no reason against it: few queries say so by chance.
        answers = [_without(answer, harmful) for answer in answers]
        score = _fit_score([answer.columns for answer in answers], gains)
    orders = [demoted(score.apply(a.columns), a.videos, a.spans, overlap) for a in answers]
    seen, good = [], []
    for answer, order, (_, right) in zip(answers, orders, judged, strict=True):
        first = np.argsort(-order, kind="stable")[: RIGHT.depth]
        seen.append(np.column_stack([answer.columns, log_shares(order, corpus)])[first])
        good.append(right[first])
    confidence, log_share = _fit_confidence(np.concatenate(seen), np.concatenate(good))
    fusion = Fusion(score, confidence, overlap, log_share=log_share)
    best = []
    for answer, order, (_, right) in zip(answers, orders, judged, strict=True):
        if len(right):
            sure = confidences(fusion.logits(answer.columns, order, corpus))
            best.append((float(sure.max()), bool(right[sure.argmax()])))
    return replace(fusion, confidence_threshold=_threshold(best, precision))


def _without(answer: Answers, names: Sequence[str]) -> Answers:
    return replace(answer, columns=np.where(np.isin(COLUMNS, names), 0.0, answer.columns))


def _fit_score(lists: Sequence[Doubles], gains: Sequence[Doubles]) -> ScoreWeights:
    rows = [
        (columns, gain / gain.sum()) for columns, gain in zip(lists, gains, strict=True) if gain.sum() > 0
    ]
    if not rows:
        return ScoreWeights(span_relevance=1.0)
    middle, spread = _scale(np.concatenate([columns for columns, _ in rows]))
    longest = max(len(columns) for columns, _ in rows)
    width = len(middle)
    inputs, wanted = torch.zeros(len(rows), longest, width), torch.zeros(len(rows), longest)
    there = torch.zeros(len(rows), longest, dtype=torch.bool)
    for row, (columns, share) in enumerate(rows):
        inputs[row, : len(columns)] = torch.from_numpy((columns - middle) / spread)
        wanted[row, : len(columns)], there[row, : len(columns)] = torch.from_numpy(share), True

    def loss(weights: torch.Tensor) -> torch.Tensor:
        logits = (inputs @ weights[1:]).masked_fill(~there, -1e4)
        return -(wanted * logits.log_softmax(1)).sum(1).mean() + RIDGE * _size(weights[1:])

    return ScoreWeights(0.0, *_unscaled(_minimum(loss, width), middle, spread)[1])


def _fit_confidence(columns: Doubles, good: NDArray[np.bool_]) -> tuple[ScoreWeights, float]:
    """Return the weights of columns, and of a last one, log share; columns: (n, all of them)."""
    if good.all() or not good.any():
        return ScoreWeights(bias=_logit(float(good.mean()) if len(good) else 0.0)), 0.0
    middle, spread = _scale(columns)
    inputs = torch.from_numpy((columns - middle) / spread).float()
    wanted = torch.from_numpy(good).float()

    def loss(weights: torch.Tensor) -> torch.Tensor:
        logits = inputs @ weights[1:] + weights[0]
        error = torch.nn.functional.binary_cross_entropy_with_logits(logits, wanted)
        return error + RIDGE / 10 * _size(weights[1:])

    start, weights = _unscaled(_minimum(loss, columns.shape[1]), middle, spread)
    return ScoreWeights(start, *weights[:-1]), weights[-1]


def _size(weights: torch.Tensor) -> torch.Tensor:
    """Return what a fit pays for its weights, one a column, brought to one scale."""
    size = weights.square().sum()
    if len(weights) >= len(COLUMNS):
        said, written = weights[: len(COLUMNS)][-len(TEXT_COLUMNS) :].chunk(2)
        size = size + ALIKE * (said - written).square().sum()
    return size


def _minimum(loss: Callable[[torch.Tensor], torch.Tensor], columns: int) -> Doubles:
    """Return where a convex loss of a bias and a weight a column is least: (1 + columns,)."""
    weights = torch.zeros(1 + columns, requires_grad=True)
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
    """Return mean and spread of columns, of a method one spread in both channels: sureness is one scale."""
    spread = columns.std(0)
    if len(spread) >= len(COLUMNS):
        texts = spread[len(COLUMNS) - len(TEXT_COLUMNS) : len(COLUMNS)].reshape(2, -1)
        texts[:] = np.sqrt(np.square(texts).mean(axis=0))
    return columns.mean(0), np.maximum(spread, 1e-6)


def _unscaled(found: Doubles, middle: Doubles, spread: Doubles) -> tuple[float, list[float]]:
    """Return bias and weights of columns as they are, from those of columns brought to one scale."""
    weights = found[1:] / spread
    return round(float(found[0] - weights @ middle), 6), [round(float(weight), 6) for weight in weights]


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
