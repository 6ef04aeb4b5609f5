"""Pictures that are not decoded change nothing: the samples are those of a decoder that sees all."""

from __future__ import annotations  # av.Packet is generic to type checkers only

import random
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from av.stream import Stream

from tests.trainer.ingest.factories import regular, write_video
from trainer.ingest.ahead import Ahead, Use
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


def check(path: Path, fps: str, monkeypatch: pytest.MonkeyPatch) -> tuple[int, int]:
    """Compare with a decoder that sees all; return how many pictures were decoded, and by that one."""
    fast, fast_report, decoded = read(path, fps)
    with monkeypatch.context() as patch:
        patch.setattr(Ahead, "of", lambda *_: None)
        full, full_report, everything = read(path, fps)
    assert fast_report == full_report
    assert [(s.row, s.rows, s.pts, s.time) for s in fast] == [(s.row, s.rows, s.pts, s.time) for s in full]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(fast, full, strict=True))
    return decoded, everything


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
@pytest.mark.parametrize("fps", ["1", "0.7", "3", "30"])
@pytest.mark.parametrize("times", [regular(12, 25), jittered(1), jittered(2)], ids=["25", "vfr1", "vfr2"])
def test_samples_are_those_of_all_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fps: str, times: list[int]
) -> None:
    deep = {"x264-params": "bframes=8:b-adapt=0:b-pyramid=normal:ref=4:keyint=60:scenecut=0"}
    path = write_video(tmp_path / name, times, rate=25, options=deep)
    decoded, everything = check(path, fps, monkeypatch)
    assert everything == len(times)
    if fps == "1":
        assert decoded < 0.8 * len(times)


def test_a_start_offset_and_an_open_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mkv", [time + 777 for time in regular(9, 30)], rate=30)
    fast = read(path, "1")[:2]
    monkeypatch.setattr(Ahead, "of", lambda *_: None)
    full = read(path, "1")[:2]
    assert fast[1] == full[1]
    assert [s.pts for s in fast[0]] == [s.pts for s in full[0]]


# Closed groups of 8 pictures, a third of a second: most hold none that is shown.
SHORT = {"x264-params": "bframes=3:b-adapt=0:keyint=8:min-keyint=8:scenecut=0:open-gop=0"}


@pytest.mark.parametrize("fps", ["1", "0.2"])
def test_groups_that_show_nothing_are_not_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fps: str
) -> None:
    path = write_video(tmp_path / "a.mp4", regular(20, 24), rate=24, options=SHORT, audio_seconds=0.5)
    decoded, everything = check(path, fps, monkeypatch)
    assert everything == 480
    assert decoded < (140 if fps == "1" else 100)


@pytest.mark.parametrize("fps", ["1", "0.2"])
def test_pauses_are_those_of_all_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fps: str) -> None:
    times = regular(30, 24)
    paused = [time + 700 * (time > 9000) + 3000 * (time > 16100) for time in times]
    path = write_video(tmp_path / "a.mkv", paused, rate=24, options=SHORT)
    decoded, _ = check(path, fps, monkeypatch)
    assert decoded < len(times) / 2


@pytest.mark.parametrize("more", [":open-gop=1", ":slices=4:sliced-threads=1", ":repeat-headers=1:aud=1"])
def test_other_streams_of_short_groups_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    path = write_video(
        tmp_path / "a.mp4", regular(8, 24), rate=24, options={"x264-params": SHORT["x264-params"] + more}
    )
    decoded, everything = check(path, "1", monkeypatch)
    assert decoded < everything


def test_pictures_with_parameters_of_their_own_are_decoded(tmp_path: Path) -> None:
    """Those behind them are made by these parameters."""
    path = write_video(tmp_path / "a.mp4", regular(2, 24), rate=24, options=SHORT)
    for unit, left_out in ((b"", 6), (b"\0\0\0\2\x68\1", 0)):
        with av.open(path) as file:
            stream = file.streams.video[0]
            ahead = Ahead.of(file, stream, Fraction(1, 10))
            assert ahead is not None
            ahead.origin = 0
            packets: list[Packet[Stream]] = []
            for packet in file.demux(stream):
                added: Packet[Stream] = Packet(bytes(packet) + unit * (len(packets) == 14))
                added.pts, added.dts, added.stream = packet.pts, packet.dts, stream
                packets.append(added)
            uses = [use for _, use in ahead.look(packets)]
        assert uses[9:15].count(Use.NONE) == left_out
