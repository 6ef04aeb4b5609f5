"""What the recipe of Ray's figures sees of processes, and of two collections."""

import sys
from pathlib import Path

import pytest

from recipes.spread import watch
from recipes.spread.kills import _open
from recipes.spread.listing import _fill
from recipes.spread.watch import watched
from recipes.spread.work import differences, stored
from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.levels import run

BUSY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; x = bytearray(50_000_000); time.sleep(1.2)"])
ends = time.process_time() + 0.3
while time.process_time() < ends: pass
child.wait()
"""


def test_a_command_is_watched_with_all_below_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "EVERY", 0.02)
    monkeypatch.setattr(watch, "SELDOM", 1)
    used = watched([sys.executable, "-c", BUSY], tmp_path / "log").row()
    assert used["wall_s"] >= 1.2
    assert used["cpu_s"] >= 0.2
    # What it started is neither itself nor a worker.
    assert used.keys() == {"wall_s", "cpu_s", "driver_mb", "ray_mb", "all_mb"}
    assert used["all_mb"] >= used["ray_mb"] >= 45


def test_lost_twice_and_other_videos_are_told(tmp_path: Path) -> None:
    _fill(tmp_path / "many", write_video(tmp_path / "a.mp4", regular(1, 10)), 5)
    videos = sorted((tmp_path / "many").glob("*/*.mp4"))
    assert [path.stem for path in videos] == [f"{number:07}" for number in range(5)]
    run(tmp_path / "whole", *videos[:2])
    run(tmp_path / "found", *videos[:1])
    write_video(videos[0], regular(2, 10))
    run(tmp_path / "other", *videos[:2])
    whole, found, other = (tmp_path / name / "c" for name in ("whole", "found", "other"))
    assert stored(whole) == {"0000000": 1, "0000001": 1}
    assert differences(whole, whole) == []
    assert differences(found, whole) == ["0000001 is in one alone"]
    assert differences(other, whole)[0] == "0000000 has other content"


def test_what_a_process_has_open_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"")
    with (tmp_path / "a.mp4").open("rb"):
        assert _open("self") == {"a"}
    assert _open("self") == set()
