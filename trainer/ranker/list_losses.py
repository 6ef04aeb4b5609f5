"""The listwise losses, on the features that are served.

total = boundary * (CE of start + CE of end)
+ inside * CE of a window's clips             the moment's own against the window's other clips
+ listwise * CE of lists                      grades of proposals against S: by query and by window
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from trainer.ranker.losses import LossConfig, Targets, boundary_loss
from workers.ranker.model.relo import QueryEncoding, Relo, WindowEncoding


def list_losses(
    model: Relo,
    query: QueryEncoding,
    context: WindowEncoding,
    places: Tensor | None,
    targets: Targets,
    worth: Tensor,
    config: LossConfig,
) -> dict[str, Tensor]:
    """Return the weighted listwise losses by name, without their sum.

    context: m windows, of which the first n are those of the pairs. places: (m, 2). worth: (n, m), what
    window j is worth to query i.
    """
    n = len(worth)
    own = WindowEncoding(*(column[:n] for column in context))
    starts, ends = model.boundaries(query, own, None if places is None else places[:n])
    scores = config.scale * model.relevance(query, context, places).float()
    by_query, by_window = graded_loss(scores, worth), graded_loss(scores.T, worth.T)
    return {
        "boundary": config.boundary * (boundary_loss(starts.float(), ends.float(), targets.clips)).mean(),
        "inside": config.inside * inside_loss(model, query, own, targets.foreground, config.scale).mean(),
        "listwise": config.listwise * (by_query + config.by_window * by_window),
    }


def graded_loss(scores: Tensor, worth: Tensor) -> Tensor:
    """Return the cross entropy of what rows are worth and the softmax of scores, the mean of rows (n, m).

    Rows that are worth nothing are left out.
    """
    total = worth.sum(1, keepdim=True)
    wanted = worth / total.clamp(min=1e-6)
    rows = -(wanted * scores.log_softmax(1)).sum(1)
    there = (total[:, 0] > 0).to(rows.dtype)
    return (rows * there).sum() / there.sum().clamp(min=1)


def inside_loss(
    model: Relo, query: QueryEncoding, context: WindowEncoding, foreground: Tensor, scale: float
) -> Tensor:
    """Return how little of a window's softmax of similarities lies on the moment's clips, (n,)."""
    video, subtitle = model.directions(query)
    picture = torch.einsum("nh,nlh->nl", video, F.normalize(context.video, dim=-1))
    words = torch.einsum("nh,nlh->nl", subtitle, F.normalize(context.subtitle, dim=-1))
    logits = (scale * (picture + words) / 2).float().masked_fill(context.mask == 0, -1e4)
    inside = logits.masked_fill(foreground * context.mask == 0, -1e4)
    return logits.logsumexp(1) - inside.logsumexp(1)
