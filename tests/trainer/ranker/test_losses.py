from typing import get_args

import numpy as np
import pytest
import torch

from tests import numeric
from tests.workers.ranker import golden
from trainer.ranker.list_losses import graded_loss, list_losses
from trainer.ranker.losses import (
    LossConfig,
    Targets,
    Variant,
    boundary_loss,
    contrastive_loss,
    frame_loss,
    hinge_loss,
    relo_losses,
)
from workers.ranker.model.local import make_model
from workers.ranker.model.relo import ReloConfig

GOLDEN = golden.values("reloclnet_small_config")["losses"]
NAMES = {"boundary": "st_ed", "frame": "fcl", "video": "vcl", "context": "neg_ctx", "query": "neg_q"}


def published_losses(
    variant: Variant, dtype: torch.dtype = torch.float32
) -> tuple[dict[str, torch.Tensor], torch.nn.Module]:
    stored = golden.tensors("reloclnet_small", dtype)
    model, config = golden.relo().to(dtype), LossConfig(variant, hard_pool=1)
    query = model.encode_query(stored["in/query_feat"], stored["in/query_mask"])
    context = model.encode_context(stored["in/video_feat"], stored["in/sub_feat"], stored["in/video_mask"])
    wrong = None
    if config.hard_negatives:
        columns = (stored[f"in/hard_neg_{name}"] for name in ("video_feat", "sub_feat", "video_mask"))
        wrong = model.encode_context(*columns)
    n = len(stored["in/simi"])
    targets = Targets(
        stored["in/st_ed_indices"],
        stored["in/match_labels"].to(dtype),
        stored["in/query_context_pos_mask"] > 0,
        stored["in/simi"] if config.by_similarity else torch.ones(n, dtype=dtype),
    )
    return relo_losses(model, query, context, targets, config, hard=True, wrong=wrong), model


@pytest.mark.parametrize("variant", get_args(Variant))
def test_losses_of_all_variants_are_the_published_ones(variant: Variant) -> None:
    (found, _), (exact, _) = (published_losses(variant, dtype) for dtype in (torch.float32, torch.float64))
    wanted = {name: GOLDEN[variant][f"loss_{published}"] for name, published in NAMES.items()}
    wanted["loss"] = GOLDEN[variant]["loss_overall"]
    if "hard_neg" in variant:
        wanted["hard-negative"] = GOLDEN[variant]["loss_hard_neg_ctx"]
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        numeric.close(value, wanted[name], name=name)
        numeric.close(value, exact[name], name=name)


def gradients(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return what the recorded loss gives every parameter of the small ranker."""
    found, model = published_losses("reloclnet_rvmr", dtype)
    found["loss"].backward()  # type: ignore[no-untyped-call]
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


def test_gradients_are_the_published_ones() -> None:
    stored = golden.arrays("reloclnet_small")
    found, exact = gradients(torch.float32), gradients(torch.float64)
    assert found.keys() == {name.removeprefix("grad/") for name in stored if name.startswith("grad/")}
    for name, gradient in found.items():
        wanted = stored[f"grad/{name}"]
        # Key biases shift all scores of a row alike: their gradient is zero up to rounding.
        scale = max(float(np.abs(wanted).max()), 1e-4)
        numeric.close(gradient, wanted, numeric.GRADIENT, scale=scale, name=name)
        numeric.close(gradient, exact[name], numeric.GRADIENT, scale=scale, name=name)


def test_contrastive_and_frame_losses_are_the_published_ones() -> None:
    stored = {name: torch.from_numpy(array) for name, array in golden.arrays("losses").items()}
    pairs, positives, extra = stored["in/x"], stored["in/pos_mask"] > 0, stored["in/hard_neg"]
    rows = contrastive_loss(pairs, positives)
    numeric.close(rows, stored["out/milnce_rvmr_per_row"])
    own = torch.eye(len(pairs), dtype=torch.bool)
    for name, found in {
        "milnce": contrastive_loss(pairs, own, own_twice=True),
        "milnce_hard_neg": contrastive_loss(pairs, own, extra, own_twice=True),
        "milnce_rvmr_hard_neg2": contrastive_loss(pairs, positives, extra),
    }.items():
        numeric.close(found.mean(), stored[f"out/{name}"])
    frames = frame_loss(
        stored["in/jsd_query"], stored["in/jsd_video"], stored["in/jsd_mask"], stored["in/jsd_labels"].float()
    )
    numeric.close(frames, stored["out/jsd_per_row"])


def test_a_batch_without_negatives_costs_nothing_and_raises_nothing() -> None:
    scores = torch.randn(4, 4, requires_grad=True)
    everything = torch.ones(4, 4, dtype=torch.bool)
    loss = hinge_loss(scores, everything, 0.1) + contrastive_loss(scores, everything)
    assert not loss.any()
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


def test_a_hard_negative_without_clips_is_none() -> None:
    torch.manual_seed(0)
    model = golden.relo()
    query = model.encode_query(torch.randn(3, 4, 24), torch.ones(3, 4))
    context = model.encode_context(torch.randn(3, 5, 20), torch.randn(3, 5, 24), torch.ones(3, 5))
    wrong = model.encode_context(torch.randn(3, 5, 20), torch.randn(3, 5, 24), torch.zeros(3, 5))
    clips, own = torch.zeros(3, 2, dtype=torch.int64), torch.eye(3, dtype=torch.bool)
    targets = Targets(clips, torch.ones(3, 5), own, torch.ones(3))
    with_none = relo_losses(
        model, query, context, targets, LossConfig("reloclnet_rvmr_hard_neg", hard_pool=1), True, wrong
    )
    without = relo_losses(model, query, context, targets, LossConfig(hard_pool=1), True)
    assert not with_none.pop("hard-negative")
    assert with_none.keys() == without.keys()
    numeric.close(torch.stack([*with_none.values()]), torch.stack([*without.values()]))
    with_none["loss"].backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is None or torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize("pool", [None, 1, 2, 50])
def test_negatives_come_from_the_pool(pool: int | None) -> None:
    torch.manual_seed(0)
    scores = torch.tensor([[0.0, 0.9, 0.5, 0.1, 0.7]]).repeat(5, 1)
    positives = torch.eye(5, dtype=torch.bool)
    positives[0, 1] = True
    drawn = {round(float(hinge_loss(scores, positives, 1.0, pool)[0]) - 1.0, 4) for _ in range(200)}
    assert drawn == {None: {0.7, 0.5, 0.1}, 1: {0.7}, 2: {0.7, 0.5}, 50: {0.7, 0.5, 0.1}}[pool]


def test_clips_that_are_not_there_cost_nothing() -> None:
    starts = torch.randn(2, 6)
    starts[:, 4:] = torch.finfo(torch.float32).min
    clips = torch.tensor([[0, 3], [2, 2]])
    numeric.close(boundary_loss(starts, starts, clips), boundary_loss(starts[:, :4], starts[:, :4], clips))


def test_lists_want_scores_in_the_proportion_of_worth() -> None:
    worth = torch.tensor([[3.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 2.0]])
    best = torch.log(worth.clamp(min=1e-9))
    least = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) / 2
    assert graded_loss(best, worth).item() == pytest.approx(least, abs=1e-5)
    worse = best.clone()
    worse[0] = torch.tensor([0.0, 1.0, 0.0])
    assert graded_loss(worse, worth).item() > least
    assert graded_loss(best, torch.zeros(3, 3)).item() == 0


def test_listwise_losses_learn_from_every_part() -> None:
    torch.manual_seed(0)
    config = ReloConfig(6, 5, 4, 8, 2, head_init="edge", context_encoder="conv", bias_reach=2, shortcut=True)
    model = make_model(config)
    query = model.encode_query(torch.randn(2, 3, 4), torch.ones(2, 3))
    context = model.encode_context(torch.randn(4, 9, 6), torch.randn(4, 9, 5), torch.ones(4, 9))
    foreground = torch.zeros(2, 9)
    foreground[:, 3:6] = 1
    targets = Targets(torch.tensor([[3, 5], [3, 5]]), foreground, torch.eye(2) > 0, torch.ones(2))
    places = torch.tensor([[2, 6]] * 4)
    worth = torch.tensor([[3.0, 0, 1, 0], [0, 3, 0, 0]])
    losses = list_losses(model, query, context, places, targets, worth, LossConfig(objective="listwise"))
    assert set(losses) == {"boundary", "inside", "listwise"}
    assert all(loss.item() > 0 for loss in losses.values())
    torch.stack(list(losses.values())).sum().backward()  # type: ignore[no-untyped-call]
    still = {name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max().item()}
    # Attention does not see what is added to all keys alike.
    assert all(name.endswith("key.bias") for name in still), still
