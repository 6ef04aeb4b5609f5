"""Muon for the matrices of the transformer layers, AdamW for the rest."""

import math
from collections.abc import Iterable, Sequence

import torch
from torch import nn


class Muon:
    """Momentum whose update of a matrix is made orthogonal by a few Newton-Schulz steps (Jordan et al. 2024).

    It needs far fewer steps than AdamW for small transformers. Matrices of one shape go through together,
    in float32: this is for CPUs, where bfloat16 is slow.
    """

    def __init__(self, matrices: Sequence[nn.Parameter], weight_decay: float, momentum: float = 0.95) -> None:
        self._momentum, self._weight_decay = momentum, weight_decay
        groups: dict[tuple[int, int], list[nn.Parameter]] = {}
        for matrix in matrices:
            groups.setdefault((min(matrix.shape), max(matrix.shape)), []).append(matrix)
        self._groups = [(group, [torch.zeros_like(p) for p in group]) for group in groups.values()]

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """Apply the gradients."""
        for group, moments in self._groups:
            updates = []
            for matrix, moment in zip(group, moments, strict=True):
                gradient = matrix.grad if matrix.grad is not None else torch.zeros_like(matrix)
                moment.mul_(self._momentum).add_(gradient)
                update = gradient.add(moment, alpha=self._momentum)
                updates.append(update if update.shape[0] <= update.shape[1] else update.T)
            for matrix, update in zip(group, orthogonal(torch.stack(updates)), strict=True):
                rows, columns = matrix.shape
                step = lr * max(1.0, rows / columns) ** 0.5
                matrix.mul_(1 - lr * self._weight_decay)
                matrix.add_(update if rows <= columns else update.T, alpha=-step)


def orthogonal(matrices: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Push the singular values of matrices (n, rows <= columns) towards 1."""
    a, b, c = 3.4445, -4.775, 2.0315
    x: torch.Tensor = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Optimiser:
    """Both optimisers behind one step, with warm-up and a cosine to 2 % of the rates."""

    def __init__(
        self,
        model: nn.Module,
        heads: nn.Module,
        *,
        lr: float,
        muon_lr: float,
        weight_decay: float,
        steps: int,
    ) -> None:
        self._lr, self._muon_lr, self._steps = lr, muon_lr, steps
        matrices = [p for name, p in model.named_parameters() if "encoder.layers" in name and p.ndim == 2]
        taken = {id(p) for p in matrices}
        rest = [p for p in (*model.parameters(), *heads.parameters()) if id(p) not in taken]
        self._all = [*matrices, *rest]
        self._muon = Muon(matrices, weight_decay)
        self._adam = torch.optim.AdamW(
            [
                {"params": [p for p in rest if p.ndim > 1], "weight_decay": weight_decay},
                {"params": [p for p in rest if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=lr,
            betas=(0.9, 0.98),
        )

    def step(self, step: int) -> None:
        """Apply the gradients of step number `step` and clear them."""
        share = rate(step, self._steps)
        for group in self._adam.param_groups:
            group["lr"] = self._lr * share
        nn.utils.clip_grad_norm_(self._all, 1.0)
        self._muon.step(self._muon_lr * share)
        self._adam.step()
        clear(self._all)


def rate(step: int, steps: int, warm_up: float = 0.05, floor: float = 0.02) -> float:
    """Return the share of the learning rate at a step: linear up, then half a cosine down to `floor`."""
    done = step / steps
    return min(1.0, (step + 1) / (warm_up * steps + 1)) * (
        floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * done))
    )


def clear(parameters: Iterable[nn.Parameter]) -> None:
    """Drop the gradients."""
    for parameter in parameters:
        parameter.grad = None
