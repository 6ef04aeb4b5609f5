"""Published states of small models, and zip archives of any members."""

import zipfile
from pathlib import Path
from typing import Any

import torch

from tests.parity.rule import state_by_rule
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.projection.projector import Projector, ProjectorConfig

SIZES: dict[str, Any] = {"visual_dim": 10, "subtitle_dim": 6, "query_dim": 8}


def projector_state(**sizes: Any) -> dict[str, torch.Tensor]:
    return state_by_rule(Projector(ProjectorConfig(**{"dim": 64, "heads": 1, "layers": 2, **sizes})), 0.1)


def ranker_state(hidden: int = 16) -> dict[str, torch.Tensor]:
    return state_by_rule(Relo(ReloConfig(hidden=hidden, heads=1, **SIZES)), 0.1)


def archive(path: Path, entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, content in entries.items():
            out.writestr(name, content)


SAVES: list[dict[str, Any]] = [{}, {"_use_new_zipfile_serialization": False}]
