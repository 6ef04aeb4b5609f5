"""Pictures that are not decoded change nothing: the samples are those of a decoder that sees all."""

import random
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.ingest.factories import regular, write_video
from trainer.ingest.ahead import Ahead
from trainer.ingest.video import Sample, VideoReport, VideoSampler


def read(path: Path, fps: str) -> tuple[list[Sample], VideoReport, int]:
    """Return samples, report, and how many pictures were decoded."""
    sampler = VideoSampler(path, Fraction(fps), 32, threads=1)
    samples = list(sampler)
    assert sampler.report is not None
    return samples, sampler.report, sampler.decoded


def jittered(seed: int) -> list[int]:
    dice, times = random.Random(seed), [0]
    while len(times) < 200:
        times.append(times[-1] + dice.choice([1, 20, 33, 40, 41, 90, 400, 1000]))
    return times


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("fps", ["1", "0.7", "3", "30"])
@pytest.mark.parametrize("times", [regular(12, 25), jittered(1), jittered(2)], ids=["25", "vfr1", "vfr2"])
def test_samples_are_those_of_all_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fps: str, times: list[int]
) -> None:
    deep = {"x264-params": "bframes=8:b-adapt=0:b-pyramid=normal:ref=4:keyint=60:scenecut=0"}
    path = write_video(tmp_path / name, times, rate=25, options=deep)
    fast, fast_report, decoded = read(path, fps)
    monkeypatch.setattr(Ahead, "of", lambda *_: None)
    full, full_report, everything = read(path, fps)
    assert fast_report == full_report
    assert everything == len(times)
    assert [(s.row, s.rows, s.pts, s.time) for s in fast] == [(s.row, s.rows, s.pts, s.time) for s in full]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(fast, full, strict=True))
    if fps == "1":
        assert decoded < 0.8 * len(times)


def test_a_start_offset_and_an_open_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mkv", [time + 777 for time in regular(9, 30)], rate=30)
    fast = read(path, "1")[:2]
    monkeypatch.setattr(Ahead, "of", lambda *_: None)
    full = read(path, "1")[:2]
    assert fast[1] == full[1]
    assert [s.pts for s in fast[0]] == [s.pts for s in full[0]]
