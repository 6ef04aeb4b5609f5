"""What the encoder is trained for: contrast with soft targets, and tasks beside it."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import nn

THUMBNAIL = 8


def contrast(a: torch.Tensor, b: torch.Tensor, weights: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Return the symmetric cross entropy between rows of `a` (n + m, d) and `b` (n, d), both un-normalised.

    weights (n, n) 0..1 say how well each b fits each a; the m further rows of `a` fit nothing and are only
    negatives of `b`. A row's target is its weights, normalised.
    """
    logits = scale * F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T
    n = len(weights)
    to_b = weights / weights.sum(1, keepdim=True)
    to_a = (weights / weights.sum(0, keepdim=True)).T
    loss_a = -(to_b * F.log_softmax(logits[:n], 1)).sum(1).mean()
    loss_b = -(to_a * F.log_softmax(logits.T, 1)[:, :n]).sum(1).mean()
    return (loss_a + loss_b) / 2


class AttributeHeads(nn.Module):
    """Linear readings of attributes off a feature: one class head for each attribute with several values."""

    def __init__(self, dim: int, attributes: Sequence[Mapping[str, str]], most: int = 64) -> None:
        super().__init__()
        keys = sorted({key for entry in attributes for key in entry})
        # "" where there is no such thing: absence is a class too
        values = {key: sorted({entry.get(key, "") for entry in attributes}) for key in keys}
        self.values = {key: known for key, known in values.items() if 2 <= len(known) <= most}
        self.heads = nn.ModuleList([nn.Linear(dim, len(known)) for known in self.values.values()])

    def labels(self, attributes: Sequence[Mapping[str, str]]) -> torch.Tensor:
        """Return the classes (n, heads) of entries this was made of."""
        rows = [[known.index(a.get(key, "")) for key, known in self.values.items()] for a in attributes]
        return torch.tensor(rows, dtype=torch.int64).view(len(attributes), len(self.values))

    def forward(self, features: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the mean cross entropy over heads."""
        losses = [F.cross_entropy(head(features), labels[:, place]) for place, head in enumerate(self.heads)]
        return torch.stack(losses).mean() if losses else features.new_zeros(())


class Thumbnail(nn.Module):
    """A linear reading of the frame, 8 by 8 pixels, off a feature: it keeps the layout."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.read = nn.Linear(dim, 3 * THUMBNAIL**2)

    def forward(self, features: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
        """Return the mean squared error against `inputs` (n, 3, side, side)."""
        return F.mse_loss(self.read(features), F.adaptive_avg_pool2d(inputs, THUMBNAIL).flatten(1))


class Patches(nn.Module):
    """Linear readings off every patch: whether it is part of what happens, and if so of what kind of thing.

    Learning what stands in each of 64 places is far quicker than learning it from one vector a frame.
    """

    def __init__(self, width: int, attributes: Sequence[Mapping[str, str]]) -> None:
        super().__init__()
        self.kinds = AttributeHeads(width, attributes)
        self.part = nn.Linear(width, 1)

    def forward(
        self, states: torch.Tensor, masks: torch.Tensor, labels: torch.Tensor, single: torch.Tensor
    ) -> torch.Tensor:
        """Return the loss of states (n, patches, width) against masks (n, side, side) 0..1.

        labels (n, heads) are the things' kinds, known only where `single` (n,): one kind of thing is there.
        """
        grid = round(states.shape[1] ** 0.5)
        cover = F.adaptive_avg_pool2d(masks[:, None], grid).flatten(1)
        clear = (cover < 0.02) | (cover > 0.2)
        target = (cover > 0.2).float()
        part = F.binary_cross_entropy_with_logits(self.part(states)[..., 0][clear], target[clear])
        there = (cover > 0.2) & single[:, None]
        if not bool(there.any()):
            return part
        kinds: torch.Tensor = self.kinds(states[there], labels[:, None].expand(-1, cover.shape[1], -1)[there])
        return part + kinds
