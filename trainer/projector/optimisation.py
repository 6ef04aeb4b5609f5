"""AdamW groups and the learning-rate schedule of the published recipe."""

import math

import torch

from trainer.projector.settings import ProjectorSettings
from workers.ranker.projection.projector import Projector


def make_optimizer(projector: Projector, settings: ProjectorSettings) -> torch.optim.AdamW:
    """Return AdamW over three groups: the temperature, what decays, and biases, which do not."""
    scale, decayed, biases = parameter_groups(projector)
    groups = [
        {"params": scale, "lr": settings.lr * settings.scale_lr, "weight_decay": settings.weight_decay},
        {"params": decayed, "lr": settings.lr, "weight_decay": settings.weight_decay},
        {"params": biases, "lr": settings.lr, "weight_decay": 0.0},
    ]
    for group in groups:
        group["base_lr"] = group["lr"]
    return torch.optim.AdamW(groups, betas=(settings.beta1, settings.beta2), eps=settings.eps)


def parameter_groups(projector: Projector) -> tuple[list[torch.nn.Parameter], ...]:
    """Return (temperature, decayed, not decayed). Norm weights are decayed, as published."""
    named = dict(projector.named_parameters())
    scale = named.pop("pt_clip_logit_scale")
    decayed = [parameter for name, parameter in named.items() if "bias" not in name]
    biases = [parameter for name, parameter in named.items() if "bias" in name]
    return [scale], decayed, biases


def schedule(step: int, steps: int, warmup: float) -> float:
    """Return the factor on the learning rate of step `step` (from 0): linear warm-up, then half a cosine.

    warmup: a share of all steps. The first step of a warm-up has factor 0, as published.
    """
    warm = int(warmup * steps)
    if step < warm:
        return step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def set_learning_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give each group its own learning rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
