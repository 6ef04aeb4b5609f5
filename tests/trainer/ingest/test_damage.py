"""What is damaged or missing is told, and what lies behind keeps its time."""

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from tests.trainer.ingest.factories import grey, regular, write_video
from trainer.ingest.errors import BadVideo
from trainer.ingest.video import VideoReport, VideoSampler

CODECS = [("a.mp4", "libx264"), ("a.mp4", "mpeg4"), ("a.mov", "libx264"), ("a.mp4", "libsvtav1")]
QUIET: dict[str, dict[str, str]] = {"libsvtav1": {"g": "10", "svtav1-params": "keyint=10"}}


def read(path: Path, *, keep_truncated: bool = False) -> tuple[list[int], VideoReport]:
    """Return the level of each row and the report."""
    sampler = VideoSampler(path, Fraction(1), 32, keep_truncated=keep_truncated, threads=1)
    levels = [round(float(s.image.mean())) for s in sampler for _ in range(s.rows)]
    assert sampler.report is not None
    return levels, sampler.report


def six_seconds(path: Path, codec: str = "libx264", **options: Any) -> Path:
    """Write 150 pictures with a key frame in every ten."""
    own = QUIET.get(codec, {"g": "10"})
    return write_video(path, regular(6, 25), codec=codec, rate=25, size=(96, 64), options=own, **options)


def spoilt(path: Path, start: float, end: float, *, noise: bool = False) -> Path:
    """Overwrite a part of the pictures' bytes; header and index of an MP4 stay whole."""
    data = bytearray(path.read_bytes())
    first, last = len(data) // 20, len(data)
    if data[4:8] == b"ftyp":
        first = data.index(b"mdat") + 4
        last = first - 8 + int.from_bytes(data[first - 8 : first - 4], "big")
    low, high = first + int((last - first) * start), first + int((last - first) * end)
    data[low:high] = random.Random(1).randbytes(high - low) if noise else bytes(high - low)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("name", "codec"), CODECS)
@pytest.mark.parametrize("noise", [False, True], ids=["zeros", "noise"])
def test_what_lies_behind_damage_keeps_its_time(tmp_path: Path, name: str, codec: str, noise: bool) -> None:
    levels, report = read(spoilt(six_seconds(tmp_path / name, codec), 0.3, 0.7, noise=noise))
    assert (report.duration, report.rows) == (6, 6)
    assert levels[0] == pytest.approx(grey(0), abs=6)
    assert levels[5] == pytest.approx(grey(125), abs=6)
    (warning,) = report.warnings
    assert "damaged or missing pictures: " in warning
    assert "of 6.0 s have no picture of their own" in warning
    assert 40 < report.damaged < 90


@pytest.mark.parametrize(("name", "codec"), CODECS)
def test_a_damaged_start_keeps_the_time_of_what_follows(tmp_path: Path, name: str, codec: str) -> None:
    levels, report = read(spoilt(six_seconds(tmp_path / name, codec), 0, 0.4))
    assert (report.duration, report.rows) == (6, 6)
    assert levels[5] == pytest.approx(grey(125), abs=6)
    assert report.damaged > 40


@pytest.mark.parametrize(("name", "codec"), CODECS)
@pytest.mark.parametrize("noise", [False, True], ids=["zeros", "noise"])
def test_a_damaged_second_half_is_truncated(tmp_path: Path, name: str, codec: str, noise: bool) -> None:
    path = spoilt(six_seconds(tmp_path / name, codec), 0.55, 1, noise=noise)
    with pytest.raises(BadVideo, match="what lies behind does not decode") as told:
        read(path)
    assert told.value.kind == "truncated"
    _, report = read(path, keep_truncated=True)
    assert (report.duration, report.rows) == (6, 6)
    assert report.truncated in report.warnings


def test_most_of_the_pictures_lost_is_corrupt(tmp_path: Path) -> None:
    with pytest.raises(BadVideo, match=r"most of its pictures are lost: .* of 150") as told:
        read(spoilt(six_seconds(tmp_path / "a.mp4"), 0.2, 0.9))
    assert told.value.kind == "corrupt"


@pytest.mark.parametrize(("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.ts", "libx264")])
def test_a_hole_between_packets_is_told(tmp_path: Path, name: str, codec: str) -> None:
    levels, report = read(spoilt(six_seconds(tmp_path / name, codec), 0.3, 0.7))
    assert report.duration == pytest.approx(6)
    assert levels[0] == pytest.approx(grey(0), abs=6)
    assert "of 6.0 s have no picture" in report.warnings[0]


def test_a_missing_start_is_told(tmp_path: Path) -> None:
    _, report = read(spoilt(six_seconds(tmp_path / "a.webm", "libvpx"), 0, 0.45))
    assert "nothing is there of its first" in report.warnings[0]


@pytest.mark.parametrize(("name", "codec"), [("a.ts", "mpeg2video"), ("a.mpg", "mpeg2video")])
def test_streams_that_promise_no_length_end_in_packets(tmp_path: Path, name: str, codec: str) -> None:
    with pytest.raises(BadVideo) as told:
        read(spoilt(six_seconds(tmp_path / name, codec), 0.55, 1))
    assert told.value.kind == "truncated"


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5])
def test_lost_transport_packets_are_told_with_how_much(tmp_path: Path, share: float) -> None:
    path = six_seconds(tmp_path / "a.ts")
    data, dice = path.read_bytes(), random.Random(3)
    packets = [data[i : i + 188] for i in range(0, len(data), 188)]
    # The tables that name the streams stay.
    kept = [p for i, p in enumerate(packets) if i < 10 or i > len(packets) - 5 or dice.random() > share]
    path.write_bytes(b"".join(kept))
    _, report = read(path)
    assert report.duration == pytest.approx(6, abs=0.2)
    assert report.damaged > 0
    assert any("damaged or missing pictures: " in warning for warning in report.warnings)


@pytest.mark.parametrize(
    "name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.avi", "a.flv", "a.mpg", "a.gif", "a.mov"]
)
def test_nothing_is_told_of_a_whole_file(tmp_path: Path, name: str) -> None:
    codec = {"a.webm": "libvpx", "a.avi": "mpeg4", "a.mpg": "mpeg2video", "a.gif": "gif"}
    path = write_video(tmp_path / name, regular(6, 25), codec=codec.get(name, "libx264"), rate=25)
    _, report = read(path)
    assert (report.warnings, report.damaged, report.frames) == ((), 0, 150)


HEVC = {"x265-params": "log-level=none:keyint=25"}


def without(path: Path, lost: range) -> Path:
    """Write the file again without some of its packets, numbered as if none were lost."""
    out = path.with_name(f"less.{path.name}")
    with av.open(str(path)) as given, av.open(str(out), "w") as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for number, packet in enumerate(given.demux(given.streams.video[0])):
            if packet.size and number not in lost:
                packet.stream = stream
                container.mux(packet)
    return out


@pytest.mark.parametrize(("codec", "options"), [("libx265", HEVC), ("libx264", {}), ("mpeg2video", {})])
@pytest.mark.parametrize("lost", [range(60, 62), range(62, 71), range(60, 80)])
def test_lost_packets_that_no_counter_tells_of_are_told(
    tmp_path: Path, codec: str, options: dict[str, str], lost: range
) -> None:
    whole = write_video(tmp_path / "a.ts", regular(6, 25), codec=codec, rate=25, options=options)
    assert read(whole)[1].warnings == ()
    _, report = read(without(whole, lost))
    assert report.duration == pytest.approx(6)
    (warning,) = report.warnings
    assert "of 6.0 s have no picture" in warning


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_pictures_that_hevc_leaves_out_are_told_in_any_format(tmp_path: Path, name: str) -> None:
    whole = write_video(tmp_path / name, regular(6, 25), codec="libx265", rate=25, options=HEVC)
    assert read(whole)[1].warnings == ()
    _, report = read(without(whole, range(52, 54)))
    assert report.damaged > 0
    assert "damaged or missing pictures: " in report.warnings[0]


def test_a_packet_lost_in_its_place_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mxf", regular(6, 25), codec="mpeg2video", rate=25)
    assert read(path)[1].warnings == ()
    with av.open(str(path)) as container:
        places = [packet.pos or 0 for packet in container.demux(container.streams.video[0]) if packet.size]
    data = bytearray(path.read_bytes())
    data[places[60] : places[70]] = bytes(places[70] - places[60])
    path.write_bytes(data)
    assert read(path)[1].warnings == ("0.40 of 6.0 s have no pictures: a part may be missing",)


def test_hevc_that_begins_in_an_open_group_is_whole(tmp_path: Path) -> None:
    options = {"x265-params": "log-level=none:keyint=50:min-keyint=50:scenecut=0:b-adapt=0"}
    whole = write_video(tmp_path / "a.ts", regular(6, 25), codec="libx265", rate=25, options=options)
    with av.open(str(whole)) as container:
        packets = [(packet.pts or 0, packet.is_keyframe) for packet in container.demux() if packet.size]
    begin = [number for number, (_, key) in enumerate(packets) if key][1]
    # What is shown before its first picture refers to a group that is not there.
    assert packets[begin + 1][0] < packets[begin][0]
    _, report = read(without(whole, range(begin)))
    assert (report.warnings, report.damaged) == ((), 0)


@pytest.mark.parametrize("starts", [(0, 5000), (5000, 0), (0, 60, 30)])
def test_joined_transport_streams_run_on(tmp_path: Path, starts: tuple[int, ...]) -> None:
    parts = [
        write_video(
            tmp_path / f"{i}.ts", regular(4, 25), rate=25, container_options={"output_ts_offset": str(at)}
        )
        for i, at in enumerate(starts)
    ]
    joined = tmp_path / "a.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    levels, report = read(joined)
    assert report.duration == pytest.approx(4 * len(starts))
    expected = [grey(25 * second) for _ in starts for second in range(4)]
    assert levels == pytest.approx(expected, abs=6)
    # A clock that is set anew leaves no time without pictures.
    assert "no picture" not in " ".join(report.warnings)


def test_a_damaged_cluster_time_shifts_nothing(tmp_path: Path) -> None:
    """One byte of 24 s of Matroska put one cluster hours ahead."""
    path = write_video(tmp_path / "a.mkv", regular(24, 10))
    data = bytearray(path.read_bytes())
    cluster = data.index(b"\x1f\x43\xb6\x75", data.index(b"\x1f\x43\xb6\x75") + 4)
    time = data.index(b"\xe7", cluster)
    size = data[time + 1] & 0x7F
    assert size == 2
    data[time : time + 4] = b"\xe7\x82\xff\xff"
    path.write_bytes(data)
    levels, report = read(path)
    assert report.duration == pytest.approx(24, abs=0.2)
    assert levels[23] == pytest.approx(grey(230), abs=6)


def test_a_span_far_beyond_the_header_is_doubted(tmp_path: Path) -> None:
    """Every picture of an MP4 made 256 times as long, where its header still tells six seconds."""
    path = six_seconds(tmp_path / "a.mp4", "mpeg4", container_options={"use_editlist": "0"})
    data = bytearray(path.read_bytes())
    length = data.index(b"stts") + 16
    data[length : length + 4] = data[length + 1 : length + 4] + b"\0"
    path.write_bytes(data)
    _, report = read(path)
    assert "its timestamps span 1536 s, its pictures or header 6 s" in report.warnings
