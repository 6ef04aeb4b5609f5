"""BertAdam, the published optimiser of ReLo: Adam without bias correction, decay inside the update.

Each parameter's gradient is clipped to norm `max_norm` on its own. The learning rate's course is that of a
torch scheduler: see `published_schedule`.
"""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

UNDECAYED = ("bias", "LayerNorm.weight", "LayerNorm.bias")


class BertAdam(torch.optim.Optimizer):
    """Adam with moments used as they are; weight_decay is added to the update that lr scales."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
        max_norm: float = 1.0,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "max_norm": max_norm}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Update every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: nn.Parameter, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        scale = (group["max_norm"] / (gradient.norm() + 1e-6)).clamp(max=1.0)
        gradient = gradient * scale
        b1, b2 = group["betas"]
        state["mean"].lerp_(gradient, 1 - b1)
        state["square"].mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        update = state["mean"] / (state["square"].sqrt() + group["eps"])
        if group["weight_decay"]:
            update = update + group["weight_decay"] * parameter
        parameter.sub_(group["lr"] * update)


def decay_groups(
    model: nn.Module, weight_decay: float, slow: str | None = None, share: float = 1.0
) -> list[dict[str, Any]]:
    """Return the two published parameter groups: weights decayed, biases and named layer norms not.

    slow: parameters with this in their name are not decayed and get `share` of the learning rate; every
    group says its share.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    apart = [parameter for name, parameter in named if slow and slow in name]
    named = [(name, parameter) for name, parameter in named if not (slow and slow in name)]
    plain = [parameter for name, parameter in named if any(part in name for part in UNDECAYED)]
    decayed = [parameter for name, parameter in named if not any(part in name for part in UNDECAYED)]
    groups = [
        {"params": decayed, "weight_decay": weight_decay, "share": 1.0},
        {"params": plain, "weight_decay": 0.0, "share": 1.0},
    ]
    return [*groups, {"params": apart, "weight_decay": 0.0, "share": share}] if apart else groups


def published_schedule(steps: int, warmup: float) -> Callable[[int], float]:
    """Return the factor of step k: linear from 0 over the share `warmup` of `steps`, then linear to 0."""

    def factor(step: int) -> float:
        progress = step / max(steps, 1)
        return progress / warmup if progress < warmup else max(0.0, (1 - progress) / (1 - warmup))

    return factor
