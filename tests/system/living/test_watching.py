"""Watched folders: a file that is copied in slowly is taken once, when it is complete."""

import signal
import subprocess
import time
from pathlib import Path

from tests.system.living.living import Living
from tests.system.service import until
from tests.system.world import SPR
from tests.trainer.library.running import clip
from trainer.library.watching import QUIET


def copied_slowly(source: Path, target: Path) -> None:
    """Copy a file in pieces, with a pause after each that is shorter than a complete file is quiet."""
    content = source.read_bytes()
    with target.open("wb") as file:
        for start in range(0, len(content), len(content) // 2 + 1):
            file.write(content[start : start + len(content) // 2 + 1])
            file.flush()
            time.sleep(QUIET / 2)


def test_by_the_service_and_in_the_foreground(living: Living, lectures: Path) -> None:
    (folder := living.home / "folder").mkdir()
    command = [*SPR, "ingest", "--watch", str(folder), "--collection", str(lectures), "--device", "cpu"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as watcher:
        assert watcher.stderr is not None
        assert "watching" in watcher.stderr.readline()
        source = clip(living.home / "slow" / "slow.mp4", 12.0)
        with living.unharmed():
            copied_slowly(source, folder / "aside.mp4")
            copied_slowly(source, living.home / "inbox" / "arrived.mp4")
            until(lambda: "arrived" in living.shown("news"))
        until(lambda: "aside" in living.shown("lectures"))
        watcher.send_signal(signal.SIGINT)
        out, errors = watcher.communicate()
        assert watcher.returncode == 130, errors
    assert out.count("added     aside") == 1
    (job,) = [one for one in living.admin("jobs")["jobs"] if one["video_ids"] == ["arrived"]]
    assert (job["state"], job["warnings"]) == ("STATE_DONE", [])
