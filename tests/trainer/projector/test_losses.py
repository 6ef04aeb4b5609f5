"""The losses: published values, a naive oracle, gradients, and no underflow."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests import numeric
from trainer.projector.losses import LOSSES

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "projector" / "losses.npz")
PUBLISHED = {
    "milnce": "MILNCELoss",
    "weighted-milnce": "WeightedMILNCELoss",
    "milce": "MILCELoss",
    "infonce": "InfoNCELoss",
}


@pytest.mark.parametrize("name", LOSSES)
def test_published_values(name: str) -> None:
    loss = LOSSES[name](torch.from_numpy(GOLDEN["in_s1_logits"]), torch.from_numpy(GOLDEN["in_s1_scores"]))
    numeric.close(loss, GOLDEN[f"out_s1_{PUBLISHED[name]}"])


@pytest.mark.parametrize("name", LOSSES)
def test_values_and_gradients_equal_the_naive_form(name: str) -> None:
    torch.manual_seed(1)
    scores = torch.rand(6, 6) * (torch.rand(6, 6) < 0.3) + torch.eye(6) * 0.5
    logits = (3 * torch.randn(6, 6)).requires_grad_()
    expected = (
        naive(name, logits.double(), scores.double()) + naive(name, logits.double().T, scores.double().T)
    ) / 2
    (gradient,) = torch.autograd.grad(expected, logits)
    found = LOSSES[name](logits, scores)
    found.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    numeric.close(found, expected.detach())
    numeric.close(logits.grad, gradient)


@pytest.mark.parametrize("name", ["milnce", "weighted-milnce", "infonce"])
def test_far_logits_do_not_underflow(name: str) -> None:
    logits = torch.from_numpy(GOLDEN["in_s1_underflow_logits"]).requires_grad_()
    loss = LOSSES[name](logits, torch.eye(2))
    loss.backward()  # type: ignore[no-untyped-call]
    assert logits.grad is not None
    assert torch.isfinite(loss)
    assert torch.isfinite(logits.grad).all()
    assert loss.item() > 50


def naive(name: str, logits: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    losses = []
    for row, (chances, weights) in enumerate(zip(logits.softmax(1), scores, strict=True)):
        if name == "milnce":
            losses.append(-chances[weights > 0].sum().log())
        elif name == "weighted-milnce":
            losses.append(-(chances * weights / weights.max()).sum().log())
        elif name == "milce":
            losses.append(-(chances.log() * weights / weights.sum()).sum())
        else:
            losses.append(-chances[row].log())
    return torch.stack(losses).mean()
