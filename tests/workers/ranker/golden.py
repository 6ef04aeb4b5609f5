"""Recorded inputs and outputs of the published implementation, in tests/golden/ranker."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tests import numeric
from tests.parity.rule import state_by_rule
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig

FOLDER = Path(__file__).parents[2] / "golden" / "ranker"
# Published rows behind a window's end attend to keys that are all hidden by adding -10,000, where float32 has
# steps of 0.001. A last bit that differs moves a score by a whole step, and the convolution carries that into
# the logits of the last two clips.
BESIDE_PADDING = 1e-4
REACH = 2


def arrays(name: str) -> dict[str, NDArray[Any]]:
    with np.load(FOLDER / f"{name}.npz") as stored:
        return dict(stored)


def tensors(name: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """Return the recording, floats in that precision."""
    found = {key: torch.from_numpy(array) for key, array in arrays(name).items()}
    return {key: value.to(dtype) if value.is_floating_point() else value for key, value in found.items()}


def values(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def places(mask: NDArray[Any]) -> list[tuple[NDArray[np.bool_], float]]:
    """Return where logits are valid, and how near they must be: clear of padding, and beside it.

    mask: (n, l) of published windows, 1 = valid.
    """
    valid, lengths, width = mask > 0, mask.sum(1, keepdims=True), mask.shape[1]
    beside = valid & (lengths < width) & (np.arange(width) >= lengths - REACH)
    return [(valid & ~beside, numeric.FLOAT32), (beside, BESIDE_PADDING)]


def relo(padding: Any = "published") -> Relo:
    """Return the recorded small model, without dropout."""
    window = WindowConfig(padding=padding)
    model = Relo(
        ReloConfig(visual_dim=20, subtitle_dim=24, query_dim=24, hidden=32, heads=4, window=window)
    ).eval()
    model.load_state_dict(state_by_rule(model, 0.2))
    return model
