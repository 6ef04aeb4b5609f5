"""Recorded inputs and outputs of the published implementation, in tests/golden/ranker."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.parity.rule import state_by_rule
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
    model.load_state_dict(state_by_rule(model, 0.2))
    return model
