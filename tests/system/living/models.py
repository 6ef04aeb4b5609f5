"""Other models for a collection."""

from pathlib import Path

import torch

from engine import versions
from tests.workers.ranker.factories import WIDTH
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.projection import projector
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.scoring import relo_ranker
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.fusion import Fusion
from workers.ranker.scoring.relo_ranker import RankerConfig
from workers.ranker.stores.checkpoint import save_model


def trained(collection: Path, fusion: Fusion | None = None) -> tuple[Path, Path]:
    """Save a random projector and ranker for the collection's encoder. fusion: its scores and confidences."""
    encoder = versions.read(collection).encoder.fingerprint
    home = collection / "models"
    torch.manual_seed(7)
    stage1 = ProjectorConfig(dim=WIDTH, type="meanP", heads=2, layers=1)
    save_model(
        home / "projector" / "p", projector.KIND, stage1, Projector(stage1).state_dict(), encoder=encoder
    )
    model = ReloConfig(
        visual_dim=WIDTH,
        subtitle_dim=WIDTH,
        query_dim=WIDTH,
        hidden=16,
        heads=2,
        window=WindowConfig(clip_length=1.0),
    )
    config = RankerConfig(model=model, decode=DecodeConfig(fusion=fusion))
    save_model(home / "ranker" / "r", relo_ranker.KIND, config, Relo(model).state_dict(), encoder=encoder)
    return home / "projector" / "p", home / "ranker" / "r"
