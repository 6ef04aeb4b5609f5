"""Settings of a projector's training: what configs say, what is refused."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import InvalidInput
from trainer.projector.settings import ProjectorSettings
from trainer.runs.settings import SHIPPED, load_settings
from workers.ranker.projection.projector import ProjectorConfig


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


@pytest.mark.parametrize("change", ["layers=2", "around=1", "type=meanP", "segment_length=8"])
def test_a_name_of_before_says_what_it_is_called_now(change: str, tmp_path: Path) -> None:
    name, _, value = change.partition("=")
    told = f"projector.{name} cannot be set; it is called projector.model.{name}."
    with pytest.raises(InvalidInput, match=re.escape(told)):
        load_settings(ProjectorSettings, "projector", "demo", [change])
    old = tmp_path / "old.toml"
    old.write_text(f"[projector]\n{name} = {value if value.isdigit() else repr(value)}\n")
    with pytest.raises(InvalidInput, match=re.escape(f"{old}: {told}")):
        load_settings(ProjectorSettings, "projector", str(old))
    found = load_settings(ProjectorSettings, "projector", "demo", [f"model.{change}"]).model
    assert str(getattr(found, name)) == value


def test_shipped_configs() -> None:
    published = load_settings(ProjectorSettings, "projector", "tvr-ranking-large")
    shape = replace(published.model, heads=0)
    assert replace(published, model=shape, amp=True, save_every=200) == ProjectorSettings()
    base = load_settings(ProjectorSettings, "projector", "tvr-ranking-base")
    assert replace(base, model=published.model) == published
    assert base.model_for(512) == ProjectorConfig(dim=512, heads=8)
    shipped = {"demo", "demo-published", "tvr-ranking-base", "tvr-ranking-large"}
    assert {path.stem for path in SHIPPED.glob("*.toml")} == shipped
    demo = load_settings(ProjectorSettings, "projector", "demo")
    assert (demo.init, demo.model.subtitles, demo.model.around) == ("identity", True, 2)
    recipe = load_settings(ProjectorSettings, "projector", "demo-published")
    assert (recipe.loss, recipe.threshold, recipe.init) == ("milnce", 0.3, "published")
    assert (recipe.model.subtitles, recipe.model.around) == (False, 0)
    assert (recipe.steps, recipe.batch) == (demo.steps, demo.batch)
