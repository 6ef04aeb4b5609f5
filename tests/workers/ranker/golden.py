"""Recorded inputs and outputs of the published implementation, in tests/golden/ranker."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workers.ranker.relo import Relo, ReloConfig
from workers.ranker.windows import WindowConfig

FOLDER = Path(__file__).parents[2] / "golden" / "ranker"


def arrays(name: str) -> dict[str, NDArray[Any]]:
    with np.load(FOLDER / f"{name}.npz") as stored:
        return dict(stored)


def values(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text())


def relo(padding: Any = "published") -> Relo:
    """Return the recorded small model, without dropout."""
    window = WindowConfig(padding=padding)
    model = Relo(
        ReloConfig(visual_dim=20, subtitle_dim=24, query_dim=24, hidden=32, heads=4, window=window)
    ).eval()
    stored = arrays("reloclnet_small")
    model.load_state_dict(
        {name[3:]: torch.from_numpy(a) for name, a in stored.items() if name.startswith("sd/")}
    )
    return model
