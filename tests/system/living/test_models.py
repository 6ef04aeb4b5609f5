"""A build with other models beside the service: it switches by itself, and back."""

from pathlib import Path

import torch

from engine import versions
from tests.system.living.living import Living, spr
from tests.trainer.library.running import clip
from tests.workers.ranker.factories import WIDTH, tiny_clip
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.projection import projector
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.scoring import relo_ranker
from workers.ranker.scoring.relo_ranker import RankerConfig
from workers.ranker.stores.checkpoint import save_model


def trained(collection: Path) -> tuple[Path, Path]:
    """Save a random projector and ranker for the collection's encoder."""
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
    config = RankerConfig(model=model)
    save_model(home / "ranker" / "r", relo_ranker.KIND, config, Relo(model).state_dict(), encoder=encoder)
    return home / "projector" / "p", home / "ranker" / "r"


def test_another_projector_and_ranker(living: Living, news: Path) -> None:
    stage1, stage2 = trained(news)
    with living.unharmed():
        living.check_answers("news")
        before = living.moments()
        spr("build", news, "--projector", stage1, "--ranker", stage2, "--device", "cpu", "--json")
        living.check_answers("news")
        assert living.moments() != before
        # What is added from now on is made with them.
        living.admin("add", clip(living.home / "later" / "later.mp4", 9.0), "--wait")
        living.check_answers("news")
        assert "later" in living.shown()


def test_another_encoder_of_another_width_and_back(living: Living, lectures: Path) -> None:
    encoder = tiny_clip(living.home / "wide", seed=4, width=2 * WIDTH)
    videos = lectures.parent / "videos"
    with living.unharmed("lectures"):
        living.check_answers("lectures")
        before = living.moments("lectures")
        given = ("--collection", lectures, "--encoder", encoder, "--device", "cpu", "--json")
        made = spr("ingest", videos, *given)
        chosen = ("--encoder", made["fingerprint"], "--projector", "none", "--ranker", "none")
        spr("build", lectures, *chosen, "--device", "cpu", "--json")
        living.check_answers("lectures")
        assert living.moments("lectures") != before
        path = clip(living.home / "wider" / "wider.mp4", 9.0)
        living.admin("add", path, "--wait", "--collection", "lectures")
        living.check_answers("lectures")
        assert "wider" in living.shown("lectures")
        for _ in range(2):  # before the add, before the build
            living.admin("rollback", "--collection", "lectures")
        assert living.moments("lectures") == before
        living.admin("add", path, "--wait", "--collection", "lectures")
        living.check_answers("lectures")
        assert "wider" in living.shown("lectures")
