"""Device, mixed precision and seeds of a training."""

import contextlib
import math
import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from workers.ranker.encoder.encoder import pick_device

__all__ = ["Amp", "pick_device", "seed_everything"]


def seed_everything(seed: int) -> None:
    """Seed Python, numpy and torch, and make cuDNN deterministic."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.backends.cudnn.deterministic = True
    torch.backends.cudnn.benchmark = False


class Amp:
    """Mixed precision on CUDA, plain float32 elsewhere, behind one pair of calls.

    Compute the forward pass inside `autocast()` and the loss in float32 outside it; `step` does the rest.
    """

    def __init__(self, device: torch.device, enabled: bool = True) -> None:
        self.device = device
        self.enabled = enabled and device.type == "cuda"
        self.scaler = torch.amp.GradScaler(device.type) if self.enabled else None

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Return the context of a forward pass."""
        return torch.autocast(self.device.type) if self.enabled else contextlib.nullcontext()

    def norms(self, norm: torch.Tensor) -> dict[str, float]:
        """Return a gradient's norm as a metric: none of a step that the scaler skipped."""
        value = norm.item()
        return {} if self.enabled and not math.isfinite(value) else {"grad-norm": value}

    def step(
        self,
        loss: torch.Tensor,
        optimizer: torch.optim.Optimizer,
        parameters: Iterable[torch.nn.Parameter],
        max_norm: float | None = None,
    ) -> torch.Tensor:
        """Zero gradients, go backward, clip to `max_norm` and step; return the norm before clipping.

        Under mixed precision a step with an infinite gradient is skipped by the scaler, as it should be.
        """
        optimizer.zero_grad(set_to_none=True)
        limit = float("inf") if max_norm is None else max_norm
        if self.scaler is None:
            loss.backward()  # type: ignore[no-untyped-call]
            norm = torch.nn.utils.clip_grad_norm_(list(parameters), limit)
            optimizer.step()
            return norm
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(list(parameters), limit)
        self.scaler.step(optimizer)
        self.scaler.update()
        return norm
