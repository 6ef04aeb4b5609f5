"""A projector's settings: refusals, published values, shipped files."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from engine.errors import InvalidInput
from trainer.projector.optimisation import parameter_groups, schedule
from trainer.projector.settings import ProjectorSettings
from trainer.runs.settings import SHIPPED, load_settings
from workers.ranker.projection.projector import Projector, ProjectorConfig

GOLDEN = Path(__file__).parents[2] / "golden" / "projector"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("steps=-1", "projector.steps = -1 must not be below 0"),
        ("epochs=-1", "projector.epochs = -1 must not be below 0"),
        ("lr=nan", "projector.lr = nan is not finite"),
        ("lr=inf", "projector.lr = inf is not finite"),
        ("lr=0", "projector.lr = 0.0 must be above 0"),
        ("clip=-1", "projector.clip = -1.0 must be above 0"),
        ("warmup=1", "projector.warmup = 1.0 is no share"),
        ("eps=0", "projector.eps = 0.0 must be above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused_by_name(change: str, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        load_settings(ProjectorSettings, "projector", "demo", [change])


def test_published_groups_and_schedule() -> None:
    with torch.device("meta"):
        groups = parameter_groups(Projector(ProjectorConfig()))
    assert [len(group) for group in groups] == [1, 39, 38]
    golden = json.loads((GOLDEN / "schedule.json").read_text())
    for step, factor in golden["factors"].items():
        assert schedule(int(step), golden["steps"], 0.05) == pytest.approx(factor, abs=1e-12)


def test_shipped_configs() -> None:
    published = load_settings(ProjectorSettings, "projector", "tvr-ranking-large")
    assert replace(published, heads=0, amp=True, save_every=200) == ProjectorSettings()
    base = load_settings(ProjectorSettings, "projector", "tvr-ranking-base")
    assert replace(base, heads=published.heads) == published
    assert base.model(512) == ProjectorConfig(dim=512, heads=8)
    shipped = {"demo", "demo-published", "tvr-ranking-base", "tvr-ranking-large"}
    assert {path.stem for path in SHIPPED.glob("*.toml")} == shipped
    demo = load_settings(ProjectorSettings, "projector", "demo")
    assert (demo.init, demo.subtitles, demo.around) == ("identity", True, 2)
    recipe = load_settings(ProjectorSettings, "projector", "demo-published")
    assert (recipe.loss, recipe.threshold, recipe.init) == ("milnce", 0.3, "published")
    assert (recipe.subtitles, recipe.around) == (False, 0)
    assert (recipe.steps, recipe.batch) == (demo.steps, demo.batch)
