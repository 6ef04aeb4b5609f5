"""Checkpoints as the published code writes them: whole structures, classes that nobody else has and all."""

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

State = Mapping[str, torch.Tensor]


@contextmanager
def modules_of_others() -> Iterator[tuple[Any, Any]]:
    """Offer easydict.EasyDict and optimization.WarmupLinearSchedule, as long as the block lasts."""

    class EasyDict(dict[str, Any]):
        """A dict whose items are attributes too, kept in both places as the real one does."""

        def __init__(self, values: Mapping[str, Any]) -> None:
            for key, value in values.items():
                setattr(self, key, value)

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            self[name] = value

    class WarmupLinearSchedule:
        """A schedule as optimisers keep it in their groups."""

        def __init__(self) -> None:
            self.warmup, self.t_total = 0.01, 1000

    made = {"easydict": EasyDict, "optimization": WarmupLinearSchedule}
    before = {name: sys.modules.get(name) for name in made}
    for name, cls in made.items():
        module = types.ModuleType(name)
        cls.__module__, cls.__qualname__ = name, cls.__name__
        setattr(module, cls.__name__, cls)
        sys.modules[name] = module
    try:
        yield EasyDict, WarmupLinearSchedule
    finally:
        for name, module_before in before.items():
            del sys.modules[name]
            if module_before is not None:
                sys.modules[name] = module_before


def stage1(path: Path, state: State, **how: Any) -> Path:
    """Write a `ckpt.bin` with the state of an optimiser that made a step."""
    parameters = [torch.nn.Parameter(value.clone()) for value in state.values()]
    optimizer = torch.optim.AdamW(parameters, lr=5e-4, betas=(0.9, 0.99))
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step / 50)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    scheduler.step()
    held = {
        "model_state_dict": type(torch.nn.Linear(1, 1).state_dict())(state),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler_state_dict": scheduler.state_dict(),
        "iter": 1000,
    }
    torch.save(held, path, **how)
    return path


def stage3(path: Path, state: State, config: Mapping[str, Any] | None, **how: Any) -> Path:
    """Write a `best_model.pt`. config: of its model_cfg; None leaves that out."""
    with modules_of_others() as (easy, schedule):
        groups = [{"lr": 1e-4, "schedule": schedule(), "params": list(range(len(state)))}]
        moments = {
            row: {"step": 1, "next_m": torch.zeros_like(value)} for row, value in enumerate(state.values())
        }
        held = {
            "epoch": 7,
            "model_state_dict": type(torch.nn.Linear(1, 1).state_dict())(state),
            "optimizer_state_dict": {"state": moments, "param_groups": groups},
        }
        if config is not None:
            held["model_cfg"] = easy({**config, "device": torch.device("cuda")})
        torch.save(held, path, **how)
    return path
