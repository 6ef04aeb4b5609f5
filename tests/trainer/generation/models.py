"""A projector that a collection takes as its current one."""

from pathlib import Path

import torch

from tests.trainer.generation.built import DIM, ENCODER
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.stores.checkpoint import save_model


def make_projector(path: Path, encoder: str = ENCODER, dim: int = DIM) -> str:
    torch.manual_seed(0)
    config = ProjectorConfig(dim=dim, layers=1, heads=2)
    directory = path / "models" / "projector" / "made"
    name = save_model(directory, "projector", config, Projector(config).state_dict(), encoder=encoder)
    directory.rename(directory.with_name(name))
    (directory.parent / "CURRENT").write_text(name + "\n")
    return name
