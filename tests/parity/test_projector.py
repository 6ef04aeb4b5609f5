"""Stage 1: a published checkpoint imported, against what the published model gave."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests import numeric
from tests.parity import files
from tests.parity.rule import state_by_rule
from trainer.formats.checkpoints import read_checkpoint
from trainer.formats.keeping import keep
from trainer.projector.losses import LOSSES
from workers.ranker.projection.projector import Projector, ProjectorConfig, load_projector

SMALL = Path(__file__).parents[1] / "golden" / "projector" / "stage1_small.npz"
STD = 0.06
LOSS_NAMES = {
    "milnce": "MILNCELoss",
    "weighted-milnce": "WeightedMILNCELoss",
    "milce": "MILCELoss",
    "infonce": "InfoNCELoss",
}


@pytest.fixture(scope="module")
def stored() -> dict[str, NDArray[Any]]:
    with np.load(SMALL) as arrays:
        return dict(arrays)


def published(kind: Any) -> dict[str, torch.Tensor]:
    return state_by_rule(Projector(ProjectorConfig(128, kind, layers=2, heads=2, positions=8)), STD)


@pytest.mark.parametrize("how", [{}, {"_use_new_zipfile_serialization": False}], ids=["zip", "legacy"])
@pytest.mark.parametrize("kind", ["seqTransf", "seqLSTM", "meanP"])
def test_imported_checkpoints_give_the_published_outputs(
    stored: dict[str, NDArray[Any]], tmp_path: Path, kind: str, how: dict[str, Any]
) -> None:
    checkpoint = read_checkpoint(files.stage1(tmp_path / "ckpt.bin", published(kind), **how))
    keep(checkpoint, tmp_path / "model")
    projector = load_projector(tmp_path / "model")
    queries = projector.queries(torch.from_numpy(stored["in/text"]))
    segments = projector.segments(torch.from_numpy(stored["in/visual"]))
    numeric.close(queries, stored[f"out/{kind}/query"])
    numeric.close(segments, stored[f"out/{kind}/segment"])
    numeric.close(projector.logits(queries, segments), stored[f"out/{kind}/logits"])


@pytest.mark.parametrize("kind", ["seqTransf", "seqLSTM", "meanP"])
def test_segments_that_end_early(stored: dict[str, NDArray[Any]], kind: Any) -> None:
    """The published mask hides frames past a segment's end; here such a segment is given without them."""
    projector = Projector(ProjectorConfig(128, kind, layers=2, heads=2, positions=8))
    projector.load_state_dict(published(kind))
    lengths = stored["in/mask_partial"].sum(axis=1)
    assert set(lengths.tolist()) == {1, 3, 4}
    frames = torch.from_numpy(stored["in/visual"])
    found = torch.cat([projector.segments(one[None, :n]) for one, n in zip(frames, lengths, strict=True)])
    numeric.close(found, stored[f"out/{kind}/segment_partial_mask"])


def scores(stored: dict[str, NDArray[Any]]) -> torch.Tensor:
    return torch.from_numpy(stored["in/score"][:, :5])


def forward(stored: dict[str, NDArray[Any]]) -> tuple[Projector, torch.Tensor]:
    projector = Projector(ProjectorConfig(128, layers=2, heads=2, positions=8))
    projector.load_state_dict(published("seqTransf"))
    queries = projector.queries(torch.from_numpy(stored["in/text"]))
    segments = projector.segments(torch.from_numpy(stored["in/visual"]))
    # A batch is square: as many segments as queries.
    return projector, projector.logits(queries, segments[: len(queries)])


@pytest.mark.parametrize("name", LOSS_NAMES)
def test_losses(stored: dict[str, NDArray[Any]], name: str) -> None:
    _, logits = forward(stored)
    loss = LOSSES[name](logits, scores(stored))
    numeric.close(loss, stored[f"out/loss_{LOSS_NAMES[name]}"])


def gradients(stored: dict[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
    projector, logits = forward(stored)
    LOSSES["milnce"](logits, scores(stored)).backward()  # type: ignore[no-untyped-call]
    found = {name: parameter.grad for name, parameter in projector.named_parameters()}
    return {name: gradient for name, gradient in found.items() if gradient is not None}


def test_gradients(stored: dict[str, NDArray[Any]]) -> None:
    for name, gradient in gradients(stored).items():
        every = max(1, gradient.numel() // 256)
        numeric.close(gradient.flatten()[::every], stored[f"grad/{name}"], numeric.GRADIENT)


def test_every_gradient(recorded: Path) -> None:
    with np.load(recorded / "stage1_small.npz") as arrays:
        stored = dict(arrays)
    for name, value in published("seqTransf").items():
        np.testing.assert_array_equal(value.numpy(), stored[f"sd_seqTransf/{name}"])
    found = gradients(stored)
    assert {f"grad/{name}" for name in found} == {name for name in stored if name.startswith("grad/")}
    for name, gradient in found.items():
        numeric.close(gradient, stored[f"grad/{name}"], numeric.GRADIENT)
