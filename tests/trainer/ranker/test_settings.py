"""A ranker's settings: refusals and shipped files."""

from dataclasses import replace

import pytest

from engine.errors import InvalidInput
from trainer.ranker.settings import RankerSettings
from trainer.runs.settings import SHIPPED, load_settings


@pytest.mark.parametrize("change", ["lr=nan", "steps=-1", "lr=0", "weight_decay=-0.1", "loss.boundary=inf"])
def test_settings_that_cannot_be_are_refused_by_name(change: str) -> None:
    with pytest.raises(InvalidInput, match=rf"ranker\.{change.partition('=')[0]} = "):
        load_settings(RankerSettings, "ranker", "demo", [change])


@pytest.mark.parametrize("name", ["demo", "tvr-ranking-base", "tvr-ranking-large"])
def test_shipped_configs_load(name: str) -> None:
    assert (SHIPPED / f"{name}.toml").is_file()
    settings = load_settings(RankerSettings, "ranker", name)
    if name != "demo":
        assert replace(settings, hidden=768) == RankerSettings(
            padding="published",
            video_stream="i3d",
            subtitle_stream="subtitles-bert",
            samples="kept",
            amp=False,
        )
        assert settings.hidden == {"tvr-ranking-base": 384, "tvr-ranking-large": 768}[name]
