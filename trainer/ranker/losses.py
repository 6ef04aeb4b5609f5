"""The losses of ReLo, as published, one value a sample.

    total = boundary * (CE of start + CE of end)        which clips the moment begins and ends at
          + frame * JSD on mid features                 clips of the moment against the window's other clips
          + video * contrastive on mid features         the own window against the batch's
          + context * hinge on S + query * hinge on S   the own pair above a drawn negative of its row, column

Everything is computed with logsumexp forms in float32. A row without any negative costs nothing.
"""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from workers.ranker.relo import Context, Query, Relo


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights and settings; the defaults are those of the published run.

    hard_pool: from epoch hard_from_epoch on, negatives are drawn from so many hardest ones (a pool not
    smaller than the batch changes nothing). by_similarity: multiply a sample's losses by its pseudo label's
    similarity.
    """

    boundary: float = 0.02
    frame: float = 0.03
    video: float = 0.03
    context: float = 1.0
    query: float = 1.0
    margin: float = 0.1
    hard_from_epoch: int = 10
    hard_pool: int = 20
    by_similarity: bool = False


class Targets(NamedTuple):
    """What a batch should give.

    clips: (n, 2) int64 first and last clip, inclusive. foreground: (n, l) 1 = clip of the moment. positives:
    (n, n) bool, query a wants window b; the diagonal is true. weights: (n,) of the samples.
    """

    clips: Tensor
    foreground: Tensor
    positives: Tensor
    weights: Tensor


def relo_losses(
    model: Relo, query: Query, context: Context, targets: Targets, config: LossConfig, hard: bool
) -> dict[str, Tensor]:
    """Return the weighted losses by name and their sum, "loss"; hard: draw negatives from the hardest."""
    starts, ends = model.boundaries(query, context)
    scores = model.relevance(query, context).float()
    query, context = Query(*(x.float() for x in query)), Context(*(x.float() for x in context))
    pool = config.hard_pool if hard else None
    rows = {
        "boundary": config.boundary * boundary_loss(starts.float(), ends.float(), targets.clips),
        "frame": config.frame
        * (
            frame_loss(query.video, context.video_mid, context.mask, targets.foreground)
            + frame_loss(query.subtitle, context.subtitle_mid, context.mask, targets.foreground)
        )
        / 2,
        "video": config.video * contrastive_loss(batch_similarity(query, context), targets.positives),
        "context": config.context * hinge_loss(scores, targets.positives, config.margin, pool),
        "query": config.query * hinge_loss(scores.T, targets.positives.T, config.margin, pool),
    }
    losses = {name: (values * targets.weights).mean() for name, values in rows.items()}
    return {**losses, "loss": torch.stack(list(losses.values())).sum()}


def boundary_loss(starts: Tensor, ends: Tensor, clips: Tensor) -> Tensor:
    """Return the cross entropy of start plus that of end, (n,), of logits (n, l) and clips (n, 2)."""
    first = F.cross_entropy(starts, clips[:, 0], reduction="none")
    return first + F.cross_entropy(ends, clips[:, 1], reduction="none")


def frame_loss(query: Tensor, features: Tensor, mask: Tensor, foreground: Tensor) -> Tensor:
    """Return the Jensen-Shannon estimate of query and moment, negated, (n,).

    query: (n, h). features: (n, l, h). mask, foreground: (n, l).
    """
    similarity = torch.einsum("nh,nlh->nl", query, features)
    inside, outside = foreground * mask, (1 - foreground) * mask
    positive = math.log(2.0) - F.softplus(-similarity)
    negative = F.softplus(-similarity) + similarity - math.log(2.0)
    return _mean(negative, outside) - _mean(positive, inside)


def batch_similarity(query: Query, context: Context) -> Tensor:
    """Return the largest dot product of every query with every window's mid features, (n, n)."""
    absent = context.mask == 0
    sides = []
    for vectors, features in ((query.video, context.video_mid), (query.subtitle, context.subtitle_mid)):
        products = torch.einsum("qh,nlh->qnl", vectors, features)
        sides.append(products.masked_fill(absent, torch.finfo(products.dtype).min).amax(-1))
    return (sides[0] + sides[1]) / 2


def contrastive_loss(similarity: Tensor, positives: Tensor) -> Tensor:
    """Return each own pair against the negatives of its row and of its column, (n,).

    Other positives than the own pair count neither way.
    """
    own = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    row = similarity.masked_fill(positives & ~own, -math.inf)
    column = similarity.T.masked_fill(positives.T | own, -math.inf)
    return torch.cat([row, column], dim=1).logsumexp(1) - similarity.diagonal()


def hinge_loss(scores: Tensor, positives: Tensor, margin: float, pool: int | None = None) -> Tensor:
    """Return max(0, margin + a drawn negative of the row - the diagonal), (n,).

    The negative is drawn evenly from the row's non-positives, or from the `pool` highest of them.
    """
    ranked = scores.detach().masked_fill(positives, -math.inf).argsort(1, descending=True)
    available = (~positives).sum(1)
    reach = available if pool is None else available.clamp(max=pool)
    draw = (torch.rand(len(scores), device=scores.device) * reach).long().clamp(max=scores.shape[1] - 1)
    negative = scores.gather(1, ranked.gather(1, draw[:, None]))[:, 0]
    return F.relu(margin + negative - scores.diagonal()) * (available > 0)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum(1) / (weights.sum(1) + 1e-12)
