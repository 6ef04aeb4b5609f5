import numpy as np
import pytest
import torch

from tests.workers.ranker import golden
from trainer.ranker.losses import (
    LossConfig,
    Targets,
    boundary_loss,
    contrastive_loss,
    frame_loss,
    hinge_loss,
    relo_losses,
)

GOLDEN = golden.values("reloclnet_small_config")["losses"]
NAMES = {"boundary": "st_ed", "frame": "fcl", "video": "vcl", "context": "neg_ctx", "query": "neg_q"}


def published_losses(by_similarity: bool) -> tuple[dict[str, torch.Tensor], torch.nn.Module]:
    stored = {name: torch.from_numpy(array) for name, array in golden.arrays("reloclnet_small").items()}
    model = golden.relo()
    query = model.encode_query(stored["in/query_feat"], stored["in/query_mask"])
    context = model.encode_context(stored["in/video_feat"], stored["in/sub_feat"], stored["in/video_mask"])
    n = len(stored["in/simi"])
    targets = Targets(
        stored["in/st_ed_indices"],
        stored["in/match_labels"].float(),
        stored["in/query_context_pos_mask"] > 0,
        stored["in/simi"] if by_similarity else torch.ones(n),
    )
    config = LossConfig(hard_pool=1)
    return relo_losses(model, query, context, targets, config, hard=True), model


@pytest.mark.parametrize(
    ("variant", "by_similarity"), [("reloclnet_rvmr", False), ("reloclnet_rvmr_weighted", True)]
)
def test_losses_are_the_published_ones(variant: str, by_similarity: bool) -> None:
    found, _ = published_losses(by_similarity)
    for name, published in NAMES.items():
        assert float(found[name].detach()) == pytest.approx(GOLDEN[variant][f"loss_{published}"], rel=1e-5)
    assert float(found["loss"].detach()) == pytest.approx(GOLDEN[variant]["loss_overall"], rel=1e-5)


def test_gradients_are_the_published_ones() -> None:
    found, model = published_losses(by_similarity=False)
    found["loss"].backward()  # type: ignore[no-untyped-call]
    stored = golden.arrays("reloclnet_small")
    for name, parameter in model.named_parameters():
        wanted = stored[f"grad/{name}"]
        # Key biases shift all scores of a row alike: their gradient is zero up to rounding.
        scale = max(float(np.abs(wanted).max()), 1e-4)
        assert parameter.grad is not None
        np.testing.assert_allclose(parameter.grad.numpy(), wanted, rtol=1e-4, atol=1e-4 * scale, err_msg=name)


def test_contrastive_and_frame_losses_are_the_published_ones() -> None:
    stored = {name: torch.from_numpy(array) for name, array in golden.arrays("losses").items()}
    rows = contrastive_loss(stored["in/x"], stored["in/pos_mask"] > 0)
    torch.testing.assert_close(rows, stored["out/milnce_rvmr_per_row"], rtol=1e-5, atol=1e-6)
    frames = frame_loss(
        stored["in/jsd_query"], stored["in/jsd_video"], stored["in/jsd_mask"], stored["in/jsd_labels"].float()
    )
    torch.testing.assert_close(frames, stored["out/jsd_per_row"], rtol=1e-5, atol=1e-6)


def test_a_batch_without_negatives_costs_nothing_and_raises_nothing() -> None:
    scores = torch.randn(4, 4, requires_grad=True)
    everything = torch.ones(4, 4, dtype=torch.bool)
    loss = hinge_loss(scores, everything, 0.1) + contrastive_loss(scores, everything)
    assert not loss.any()
    loss.sum().backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert torch.isfinite(scores.grad).all()


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
    torch.testing.assert_close(
        boundary_loss(starts, starts, clips), boundary_loss(starts[:, :4], starts[:, :4], clips)
    )
