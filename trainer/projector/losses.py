"""Contrastive losses with several positives a row, in log-sum-exp form: no softmax underflows to log 0.

Each takes logits (n, m) and scores (n, m): a pair is a positive iff its score is above zero. Every row and
every column must have a positive. The loss is the mean of both directions. (arXiv 2501.05072, equation of
stage 1, after MIL-NCE, Miech et al. 2020.)
"""

from collections.abc import Callable

import torch
from torch.nn import functional as F

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def milnce(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Return the negative logarithm of a row's softmax mass on its positives."""
    return _both_ways(_milnce_rows, logits, scores)


def weighted_milnce(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Return milnce with a positive's mass counted by its score over the row's largest."""
    return _both_ways(_weighted_rows, logits, scores)


def milce(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy against a row's scores brought to sum one."""
    return _both_ways(_cross_entropy_rows, logits, scores)


def infonce(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Return the loss of (n, n) logits whose only positives are the diagonal; scores are not read."""
    return _both_ways(_diagonal_rows, logits, scores)


LOSSES: dict[str, Loss] = {
    "milnce": milnce,
    "weighted-milnce": weighted_milnce,
    "milce": milce,
    "infonce": infonce,
}


def _both_ways(rows: Loss, logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Return the mean loss over rows and over columns; in float32, whatever the logits came in."""
    logits = logits.float()
    return (rows(logits, scores).mean() + rows(logits.T, scores.T).mean()) / 2


def _milnce_rows(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    positives = logits.masked_fill(scores <= 0, -torch.inf)
    return logits.logsumexp(dim=1) - positives.logsumexp(dim=1)


def _weighted_rows(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    scores = scores.clamp(min=0)
    weights = (scores / scores.amax(dim=1, keepdim=True)).log()
    return logits.logsumexp(dim=1) - (logits + weights).logsumexp(dim=1)


def _cross_entropy_rows(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    targets = F.normalize(scores.clamp(min=0), p=1, dim=1)
    return -(targets * logits.log_softmax(dim=1)).sum(dim=1)


def _diagonal_rows(logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    return logits.logsumexp(dim=1) - logits.diagonal()
