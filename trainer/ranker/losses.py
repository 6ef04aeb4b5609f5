"""The losses of ReLo, as published, one value a sample.

    total = boundary * (CE of start + CE of end)        which clips the moment begins and ends at
          + frame * JSD on mid features                 clips of the moment against the window's other clips
          + video * contrastive on mid features         the own window against the batch's
          + context * hinge on S + query * hinge on S   the own pair above a drawn negative of its row, column
          + hard_negative * hinge on S                  the own pair above a retrieved proposal that is wrong

Losses are computed in log-sum-exp form in float32. A row without any negative costs nothing.
"""

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from workers.ranker.model.encodings import QueryEncoding, WindowEncoding
from workers.ranker.model.relo import Relo

Encoded = TypeVar("Encoded", QueryEncoding, WindowEncoding)
Variant = Literal[
    "reloclnet",
    "reloclnet_rvmr",
    "reloclnet_hard_neg",
    "reloclnet_rvmr_hard_neg",
    "reloclnet_rvmr_weighted",
]


@dataclass(frozen=True, slots=True)
class LossConfig:
    """Weights and settings; the defaults are those of the published run.

    objective: "published" or "listwise", which of the two sums.
    variant: the published name of the training. "rvmr": a query wants every window whose caption it accepts;
    else its own alone. "hard_neg": a retrieved proposal that shows none of the query's moments is one more
    negative, its hinge weighs `hard_negative`. "weighted": a sample's losses are multiplied by its pseudo
    label's similarity. All five train the same parameters.
    hard_pool: from epoch hard_from_epoch on, negatives are drawn from so many hardest ones (a pool not
    smaller than the batch changes nothing).
    list_size: how many more proposals each query of a batch is shown, for lists. scale: the factor on S and
    on clips' similarities in front of their softmax. by_window: how much lists of queries, a window's, count
    beside lists of windows, a query's.
    """

    variant: Variant = "reloclnet_rvmr"
    boundary: float = 0.02
    frame: float = 0.03
    video: float = 0.03
    context: float = 1.0
    query: float = 1.0
    margin: float = 0.1
    hard_from_epoch: int = 10
    hard_pool: int = 20
    hard_negative: float = 0.5
    objective: Literal["published", "listwise"] = "published"
    listwise: float = 1.0
    inside: float = 0.3
    list_size: int = 3
    scale: float = 20.0
    by_window: float = 0.5

    @property
    def lists(self) -> bool:
        """Whether batches need lists of proposals with grades."""
        return self.objective == "listwise"

    @property
    def several_positives(self) -> bool:
        """Whether a query may want several windows of a batch."""
        return "rvmr" in self.variant

    @property
    def hard_negatives(self) -> bool:
        """Whether every sample comes with a retrieved proposal that is wrong."""
        return "hard_neg" in self.variant

    @property
    def by_similarity(self) -> bool:
        """Whether samples weigh by their pseudo label's similarity."""
        return "weighted" in self.variant


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
    model: Relo,
    query: QueryEncoding,
    context: WindowEncoding,
    targets: Targets,
    config: LossConfig,
    hard: bool,
    wrong: WindowEncoding | None = None,
    places: Tensor | None = None,
) -> dict[str, Tensor]:
    """Return the weighted losses by name and their sum, "loss"; hard: draw negatives from the hardest.

    wrong: for the variants with hard negatives, one encoded window (n of them) that query i does not want;
    a window without clips counts as none.
    """
    starts, ends = model.boundaries(query, context, places)
    scores = model.relevance(query, context, places).float()
    query, context = _floats(query), _floats(context)
    pool = config.hard_pool if hard else None
    positives, several = targets.positives, config.several_positives
    if not several:
        positives = torch.eye(len(scores), dtype=torch.bool, device=scores.device)
    frame = frame_loss(query.video, context.video_mid, context.mask, targets.foreground)
    frame = frame + frame_loss(query.subtitle, context.subtitle_mid, context.mask, targets.foreground)
    extra = None if wrong is None else _similarity_by_pair(query, _floats(wrong))
    # The published losses with one positive a query count the own pair in its column again.
    contrast = contrastive_loss(batch_similarity(query, context), positives, extra, own_twice=not several)
    rows = {
        "boundary": config.boundary * boundary_loss(starts.float(), ends.float(), targets.clips),
        "frame": config.frame * frame / 2,
        "video": config.video * contrast,
        "context": config.context * hinge_loss(scores, positives, config.margin, pool),
        "query": config.query * hinge_loss(scores.T, positives.T, config.margin, pool),
    }
    if wrong is not None:
        worse = model.relevance(query, _floats(wrong)).diagonal()
        excess = F.relu(config.margin + worse - scores.diagonal())
        rows["hard-negative"] = config.hard_negative * excess * (wrong.mask.sum(1) > 0)
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


def batch_similarity(query: QueryEncoding, context: WindowEncoding) -> Tensor:
    """Return the largest dot product of every query with every window's mid features, (n, n)."""
    absent = context.mask == 0
    sides = []
    for vectors, features in ((query.video, context.video_mid), (query.subtitle, context.subtitle_mid)):
        products = torch.einsum("qh,nlh->qnl", vectors, features)
        sides.append(products.masked_fill(absent, torch.finfo(products.dtype).min).amax(-1))
    return (sides[0] + sides[1]) / 2


def contrastive_loss(
    similarity: Tensor, positives: Tensor, extra: Tensor | None = None, own_twice: bool = False
) -> Tensor:
    """Return each own pair against the negatives of its row and of its column, (n,).

    extra: (n,) similarity to one more negative. own_twice: count the own pair in the column too. Other
    positives than the own pair count neither way.
    """
    own = torch.eye(len(similarity), dtype=torch.bool, device=similarity.device)
    row = similarity.masked_fill(positives & ~own, -math.inf)
    column = similarity.T.masked_fill(positives.T & ~own if own_twice else positives.T | own, -math.inf)
    parts = [row, column] if extra is None else [row, column, extra[:, None]]
    return torch.cat(parts, dim=1).logsumexp(1) - similarity.diagonal()


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


def _floats(columns: Encoded) -> Encoded:
    return type(columns)(*(column.float() for column in columns))


def _similarity_by_pair(query: QueryEncoding, windows: WindowEncoding) -> Tensor:
    """Return the largest dot product of query i with window i's mid features, (n,); -inf without clips."""
    similarity = batch_similarity(query, windows).diagonal()
    return similarity.masked_fill(windows.mask.sum(1) == 0, -math.inf)


def _mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum(1) / (weights.sum(1) + 1e-12)
