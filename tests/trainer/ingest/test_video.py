"""Decoding real files: the right frame for every second, upright, whatever the container."""

import re
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.trainer.ingest.factories import (
    grey,
    packet_times,
    regular,
    shown_at,
    write_sound,
    write_video,
)
from trainer.ingest.errors import BadVideo
from trainer.ingest.video import Sample, VideoReport, VideoSampler
from workers.upright import orient, upright

FORMATS = [
    ("a.mp4", "libx264"),
    ("a.mov", "libx264"),
    ("a.mkv", "libx264"),
    ("a.ts", "libx264"),
    ("a.flv", "libx264"),
    ("a.avi", "libx264"),
    ("a.mp4", "mpeg4"),
    ("a.avi", "mpeg4"),
    ("a.mp4", "libx265"),
    ("a.webm", "libvpx-vp9"),
    ("a.webm", "libvpx"),
    ("a.webm", "libsvtav1"),
    ("a.mp4", "libsvtav1"),
    ("a.gif", "gif"),
]
QUIET = {"libx265": {"x265-params": "log-level=none"}}


def sample(path: Path, fps: str = "1", edge: int = 32) -> tuple[list[Sample], VideoReport]:
    sampler = VideoSampler(path, Fraction(fps), edge)
    samples = list(sampler)
    assert sampler.report is not None
    return samples, sampler.report


def rows(samples: list[Sample]) -> list[float]:
    """The time of the frame in every grid row; checks that rows follow one another without a gap."""
    times = [entry.time for entry in samples for _ in range(entry.rows)]
    assert [entry.row for entry in samples] == [sum(e.rows for e in samples[:i]) for i in range(len(samples))]
    return times


def levels(samples: list[Sample]) -> list[int]:
    return [round(float(entry.image.mean())) for entry in samples]


@pytest.mark.parametrize(("name", "codec"), FORMATS, ids=lambda value: value)
def test_every_container_and_codec(tmp_path: Path, name: str, codec: str) -> None:
    path = write_video(tmp_path / name, regular(2.5, 10), codec=codec, options=QUIET.get(codec))
    samples, report = sample(path)
    assert rows(samples) == [0, 1, 2]
    assert levels(samples) == pytest.approx([grey(0), grey(10), grey(20)], abs=6)
    assert report.duration == pytest.approx(2.5)
    assert (report.rows, report.frames) == (3, 25)
    assert (report.damaged, report.truncated) == (0, None)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.mov"])
@pytest.mark.parametrize("fps", ["1", "2", "1/3", "0.7"])
def test_variable_rate_against_the_packets(tmp_path: Path, name: str, fps: str) -> None:
    times = [0, 33, 66, 999, 1000, 1001, 1900, 2100, 2999, 5000, 5001, 8250]
    path = write_video(tmp_path / name, times)
    samples, report = sample(path, fps)
    truth = packet_times(path)
    grid = [Fraction(row) / Fraction(fps) for row in range(report.rows)]
    assert rows(samples) == pytest.approx([float(time) for time in shown_at(truth, grid)], abs=1e-9)
    assert report.duration > 8.25
    assert report.rows == -int(-Fraction(report.duration) * Fraction(fps) // 1)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_time_counts_from_the_first_frame(tmp_path: Path, name: str) -> None:
    samples, report = sample(write_video(tmp_path / name, [2000, 2500, 3500, 4000, 5000]))
    assert rows(samples) == pytest.approx([0, 0.5, 2, 3])
    assert report.duration == pytest.approx(3.1, abs=1)
    assert levels(samples) == pytest.approx([grey(0), grey(1), grey(3), grey(4)], abs=3)


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "libx264"), ("a.webm", "libvpx-vp9"), ("a.gif", "gif")]
)
def test_one_frame_fills_one_row(tmp_path: Path, name: str, codec: str) -> None:
    samples, report = sample(write_video(tmp_path / name, [0], codec=codec))
    assert (rows(samples), report.rows) == ([0], 1)
    assert report.duration > 0


def test_time_lapse_repeats_the_frame_that_stays(tmp_path: Path) -> None:
    samples, report = sample(write_video(tmp_path / "a.mp4", [0, 30_000, 60_000]))
    assert [(entry.row, entry.rows) for entry in samples] == [(0, 30), (30, 30), (60, report.rows - 60)]


@pytest.mark.parametrize("degrees", [0, 90, 180, -90])
def test_rotation_is_undone(tmp_path: Path, degrees: int) -> None:
    """The display matrix turns counterclockwise by its angle."""
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:24, :32] = (255, 0, 0)
    picture[:24, 32:] = (0, 255, 0)
    picture[24:, :32] = (0, 0, 255)
    path = write_video(tmp_path / "a.mov", regular(1, 5), rate=5, rotation=degrees, picture=picture)
    (first, *_), report = sample(path, edge=48)
    expected = np.rot90(picture, degrees // 90)
    assert first.image.shape == expected.shape
    assert np.abs(first.image[4:-4:8, 4:-4:8].astype(int) - expected[4:-4:8, 4:-4:8]).max() < 40
    assert (report.width, report.height) == (64, 48)


def test_a_mirrored_picture_is_turned_back() -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    one = 1 << 16
    assert (orient(image, np.array([-one, 0, 0, 0, one, 0, 0, 0, 0])) == image[:, ::-1]).all()
    assert (orient(image, np.array([one, 0, 0, 0, -one, 0, 0, 0, 0])) == image[::-1]).all()
    transposed = orient(image, np.array([0, one, 0, one, 0, 0, 0, 0, 0]))
    assert (transposed == image.transpose(1, 0, 2)).all()


def test_frames_are_small_square_pixelled_and_never_enlarged(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", regular(1, 5), rate=5, size=(96, 64))
    assert sample(path, edge=32)[0][0].image.shape == (32, 48, 3)
    assert sample(path, edge=100)[0][0].image.shape == (64, 96, 3)
    wide = write_video(tmp_path / "b.mp4", regular(1, 5), rate=5, pixel_aspect=Fraction(2))
    assert sample(wide, edge=48)[0][0].image.shape == (48, 128, 3)


def test_cover_art_is_no_video(tmp_path: Path) -> None:
    with pytest.raises(BadVideo, match="no video stream, only audio and cover art") as refused:
        sample(write_sound(tmp_path / "a.m4a", cover=True))
    assert refused.value.kind == "audio-only"


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.avi", "a.wmv", "a.mov"])
def test_longer_sound_is_told_and_does_not_make_the_video_longer(tmp_path: Path, name: str) -> None:
    codec = "wmv2" if name == "a.wmv" else "libx264"
    _, report = sample(write_video(tmp_path / name, regular(1, 10), codec=codec, audio_seconds=3))
    assert report.duration == pytest.approx(1.0)
    (warning,) = report.warnings
    assert re.fullmatch(r"the [12]\.\d s of sound behind its last picture are left out", warning)
    _, report = sample(write_video(tmp_path / name, regular(1, 10), codec=codec, audio_seconds=1.4))
    assert report.warnings == ()
    assert report.truncated is None


def test_a_scaled_frame_is_let_go_at_once(tmp_path: Path) -> None:
    """A cycle of references would keep every large picture until the garbage collector runs."""
    with av.open(write_video(tmp_path / "a.mov", [0], rotation=90)) as container:
        frame = next(container.decode(video=0))
        assert isinstance(frame, av.VideoFrame)
        before = sys.getrefcount(frame)
        assert upright(frame, 32).shape == (42, 32, 3)
        assert sys.getrefcount(frame) == before
