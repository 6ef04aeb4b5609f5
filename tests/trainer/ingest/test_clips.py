"""Real clips of many makers, where they are at hand beside the repository."""

import json
import math
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from tests.trainer.ingest.factories import packet_times, shown_at
from trainer.ingest.scan import find
from trainer.ingest.video import VideoSampler

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "videos"
CLIPS = [file.path for file in find([FOLDER])] if FOLDER.is_dir() else []

pytestmark = pytest.mark.skipif(not CLIPS, reason=f"there are no real clips in {FOLDER}")


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.name)
def test_sampled_times_are_those_of_the_packets(path: Path) -> None:
    sampler = VideoSampler(path, Fraction(1), 64)
    samples = list(sampler)
    report = sampler.report
    assert report is not None
    assert (report.damaged, report.truncated) == (0, None)
    times = [sample.time for sample in samples for _ in range(sample.rows)]
    truth = packet_times(path)
    assert report.frames == len(truth)
    assert len(times) == report.rows == math.ceil(report.duration)
    grid = [Fraction(second) for second in range(report.rows)]
    assert times == pytest.approx([float(time) for time in shown_at(truth, grid)], abs=1e-9)


@pytest.mark.parametrize("path", CLIPS, ids=lambda path: path.name)
@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="ffprobe is not installed")
def test_sampled_times_are_those_of_ffprobe(path: Path) -> None:
    wanted = ["-select_streams", "v:0", "-show_entries", "frame=best_effort_timestamp_time", "-of", "json"]
    done = subprocess.run(["ffprobe", "-v", "error", *wanted, str(path)], capture_output=True, check=True)
    stamps = [Fraction(frame["best_effort_timestamp_time"]) for frame in json.loads(done.stdout)["frames"]]
    samples = list(VideoSampler(path, Fraction(1), 64))
    times = [sample.time for sample in samples for _ in range(sample.rows)]
    grid = [Fraction(second) for second in range(len(times))]
    assert times == pytest.approx([float(time) for time in shown_at(stamps, grid)], abs=2e-6)
