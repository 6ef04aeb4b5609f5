"""Settings of a ranker's training: what configs say, what is refused."""

from dataclasses import replace

import pytest

from engine.errors import InvalidInput
from trainer.ranker.settings import RankerSettings
from trainer.runs.settings import SHIPPED, load_settings
from workers.ranker.model.relo import ReloConfig
from workers.ranker.model.windows import WindowConfig


@pytest.mark.parametrize("change", ["lr=nan", "steps=-1", "lr=0", "weight_decay=-0.1", "loss.boundary=inf"])
def test_settings_that_cannot_be_are_refused_by_name(change: str) -> None:
    with pytest.raises(InvalidInput, match=rf"ranker\.{change.partition('=')[0]} = "):
        load_settings(RankerSettings, "ranker", "demo", [change])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("hidden=256", "it is called ranker.model.hidden"),
        ("context=4", "it is called ranker.model.window.context"),
        ("model.visual_dim=3", "the collection's features decide it"),
        ("model.window.clip_length=3", "the collection's features decide it"),
    ],
)
def test_names_that_moved_and_what_the_features_decide_are_refused(change: str, why: str) -> None:
    name = change.partition("=")[0]
    with pytest.raises(InvalidInput, match=rf"demo\.toml with --set: ranker\.{name} cannot be set; {why}\.$"):
        load_settings(RankerSettings, "ranker", "demo", [change])


@pytest.mark.parametrize("name", ["demo", "tvr-ranking-base", "tvr-ranking-large"])
def test_shipped_configs_load(name: str) -> None:
    assert (SHIPPED / f"{name}.toml").is_file()
    settings = load_settings(RankerSettings, "ranker", name)
    if name != "demo":
        window = WindowConfig(padding="published", video_stream="i3d", subtitle_stream="subtitles-bert")
        published = RankerSettings(model=ReloConfig(window=window), samples="kept", amp=False)
        assert replace(settings, model=replace(settings.model, hidden=768)) == published
        assert settings.model.hidden == {"tvr-ranking-base": 384, "tvr-ranking-large": 768}[name]
