"""A file's own structure tells of a part that FFmpeg passes over without a word."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.test_damage import read
from trainer.ingest.errors import BadVideo


def whole(path: Path) -> Path:
    """Six seconds, in a format that promises no length, or whose promise FFmpeg does not tell."""
    if path.suffix == ".gif":
        return write_video(path, regular(6, 10), codec="gif")
    fragments = {"movflags": "frag_keyframe+empty_moov"} if path.suffix == ".mp4" else {}
    return noise(path, "libx264" if path.suffix == ".mp4" else "wmv2", fragments)


def noise(path: Path, codec: str, container_options: dict[str, str]) -> Path:
    """Six seconds of pictures that take the same room each."""
    return write_video(
        path,
        regular(6, 10),
        codec=codec,
        size=(96, 64),
        options={"g": "1"},
        picture=np.random.default_rng(1).integers(0, 255, (64, 96, 3), np.uint8),
        container_options=container_options,
    )


def zeroed_middle(data: bytes) -> bytes:
    first, last = len(data) * 4 // 10, len(data) * 7 // 10
    return data[:first] + bytes(last - first) + data[last:]


@pytest.mark.parametrize("name", ["a.mp4", "a.gif"])
@pytest.mark.parametrize(
    "harm", [zeroed_middle, lambda data: data[: len(data) * 6 // 10]], ids=["zeros", "cut"]
)
def test_what_ends_before_the_file_does_is_truncated(
    tmp_path: Path, name: str, harm: Callable[[bytes], bytes]
) -> None:
    path = whole(tmp_path / name)
    assert read(path)[1].truncated is None
    path.write_bytes(harm(path.read_bytes()))
    with pytest.raises(BadVideo, match=r"cut off|damaged") as error:
        read(path)
    assert error.value.kind == "truncated"
    assert read(path, keep_truncated=True)[1].duration < 6


@pytest.mark.parametrize("name", ["a.mp4", "a.gif", "a.wmv"])
@pytest.mark.parametrize("behind", [bytes(3000), b"<html>" * 500], ids=["zeros", "text"])
def test_what_lies_behind_a_whole_film_does_not_matter(tmp_path: Path, name: str, behind: bytes) -> None:
    path = whole(tmp_path / name)
    path.write_bytes(path.read_bytes() + behind)
    _, report = read(path)
    assert report.duration == pytest.approx(6, abs=0.2)
    assert report.warnings == ()


def test_windows_media_cut_off_is_truncated_and_a_hole_is_told(tmp_path: Path) -> None:
    path = whole(tmp_path / "a.wmv")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BadVideo, match=r"s of 6\.. s are there"):
        read(path)
    path.write_bytes(zeroed_middle(data))
    (warning,) = read(path)[1].warnings
    assert "s have no pictures: a part may be missing" in warning


@pytest.mark.parametrize("movflags", ["faststart", "frag_keyframe+empty_moov"])
def test_films_joined_byte_by_byte_are_told(tmp_path: Path, movflags: str) -> None:
    path = write_video(tmp_path / "a.mp4", regular(2, 10), container_options={"movflags": movflags})
    assert read(path)[1].warnings == ()
    path.write_bytes(path.read_bytes() * 2)
    _, report = read(path)
    assert report.warnings == ("it is 2 films in one file, of which not all is read; take them apart",)


@pytest.mark.parametrize(("name", "codec"), [("a.flv", "flv1"), ("a.wmv", "wmv2"), ("a.mxf", "mpeg2video")])
def test_films_joined_byte_by_byte_of_which_one_is_read_are_told(
    tmp_path: Path, name: str, codec: str
) -> None:
    path = write_video(tmp_path / name, regular(2, 25), codec=codec, rate=25)
    data = path.read_bytes()
    assert read(path)[1].warnings == ()
    path.write_bytes(data * 2)
    _, report = read(path)
    assert report.duration == pytest.approx(2, abs=0.2)
    (warning,) = report.warnings
    assert warning.endswith("it may be several films joined byte by byte; take them apart")


def test_more_pictures_than_a_format_has_times_for_are_no_joined_films(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", regular(0.15, 2000), rate=2000, codec="mpeg4")
    _, report = read(path)
    assert report.frames == 300
    assert report.warnings == ()


def test_films_in_matroska_beyond_those_read_are_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", regular(2, 10))
    data = path.read_bytes()
    path.write_bytes(data * 2)
    _, report = read(path)
    assert report.duration == pytest.approx(4)
    assert report.warnings == ()
    path.write_bytes(data * 3)
    assert "it may be several films joined byte by byte" in read(path)[1].warnings[0]


UNTOLD = {"a.mkv": {"live": "1"}, "a.flv": {"flvflags": "no_duration_filesize"}, "a.avi": {}}


@pytest.mark.parametrize("name", UNTOLD)
def test_a_stream_that_was_recorded_without_its_length_is_whole_or_truncated(
    tmp_path: Path, name: str
) -> None:
    path = noise(tmp_path / name, "libx264", UNTOLD[name])
    data = bytearray(path.read_bytes())
    if name == "a.avi":
        place = data.index(b"strh") + 40
        data[place : place + 4] = (1 << 30).to_bytes(4, "little")
        path.write_bytes(data)
    _, report = read(path)
    assert report.duration == pytest.approx(6, abs=0.2)
    assert report.warnings == ()
    # As after a crash on a file system that had made room for more.
    path.write_bytes(data[: len(data) * 6 // 10] + bytes(len(data) - len(data) * 6 // 10))
    with pytest.raises(BadVideo, match="what lies behind is not read"):
        read(path)
    # Of one that is kept all the same nothing is said of other films.
    assert "joined" not in " ".join(read(path, keep_truncated=True)[1].warnings)


@pytest.mark.parametrize(
    ("name", "codec"),
    [("a.mkv", "libx264"), ("a.webm", "libvpx"), ("a.flv", "libx264"), ("a.ogv", "libvpx")],
)
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_recording_without_a_length_that_ends_within_a_packet_is_truncated(
    tmp_path: Path, name: str, codec: str, share: float
) -> None:
    options = {"a.flv": UNTOLD["a.flv"], "a.ogv": {}}.get(name, UNTOLD["a.mkv"])
    path = noise(tmp_path / name, codec, options)
    data = path.read_bytes()
    assert read(path)[1].warnings == ()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(BadVideo, match="is cut off") as error:
        read(path)
    assert error.value.kind == "truncated"
    assert 0 < read(path, keep_truncated=True)[1].duration < 6
    # What somebody appended to a whole one is no part of a packet.
    path.write_bytes(data + b"<html>" * 100)
    assert read(path)[1].truncated is None
