"""Lines spoken aloud: a sound track where they are said."""

import dataclasses
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import Unavailable
from spr_cli.main import cli
from trainer.world.film import film
from trainer.world.plan import VideoPlan
from trainer.world.planner import plan_video
from trainer.world.profile import TEXTS
from trainer.world.speak import RATE

needs_voice = pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")


@pytest.fixture(scope="module")
def plan() -> VideoPlan:
    found = next(p for p in (plan_video(7, index, TEXTS) for index in range(40)) if len(p.lines) > 2)
    lines = tuple(line for line in found.lines if line.end < 18)
    return dataclasses.replace(found, frames=160, lines=lines)


@needs_voice
def test_lines_are_heard_when_they_are_said(plan: VideoPlan, tmp_path: Path) -> None:
    assert film(plan, tmp_path, aloud=True)
    assert not film(plan, tmp_path, aloud=True)
    video = tmp_path / f"{plan.name}.mp4"
    assert [path.name for path in tmp_path.iterdir()] == [video.name]
    with av.open(str(video)) as container:
        sound = np.concatenate([f.to_ndarray()[0] for f in container.decode(container.streams.audio[0])])
    assert len(sound) == pytest.approx(plan.duration * RATE, rel=0.01)
    loud = [np.abs(sound[round(line.start * RATE) : round(line.end * RATE)]).mean() for line in plan.lines]
    silent = np.abs(sound[: round((plan.lines[0].start - 0.1) * RATE)]).mean()
    assert min(loud) > 20 * silent
    before = video.read_bytes()
    video.unlink()
    film(plan, tmp_path, aloud=True)
    assert video.read_bytes() == before
    assert film(plan, tmp_path)
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_voice_nothing_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(cli, ["corpus", "render", str(tmp_path / "w"), "--videos", "1", "--speak"])
    assert isinstance(done.exception, Unavailable)
    assert "apt-get install espeak-ng" in str(done.exception)
    assert not (tmp_path / "w").exists()
