"""Subtitles inside a video, of every kind of track."""

from fractions import Fraction
from pathlib import Path

import pytest

from tests.trainer.ingest.factories import regular, write_video
from trainer.ingest.limits import Limits
from trainer.ingest.said import said
from trainer.ingest.subtitles import Cue
from trainer.ingest.text_tracks import LAST_SECONDS
from trainer.ingest.video import VideoReport, VideoSampler

TWO = [(500, 1500, "hello, you"), (3000, 4000, "good bye")]


CLUSTER = b"\x1f\x43\xb6\x75"


def report(path: Path) -> VideoReport:
    sampler = VideoSampler(path, Fraction(1), 32)
    list(sampler)
    assert sampler.report is not None
    return sampler.report


def replaced(path: Path, old: bytes, new: bytes) -> Path:
    """Write `new` for `old`, of the same length, in a file."""
    data = path.read_bytes()
    assert old in data
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mov_text"), ("a.mkv", "subrip"), ("a.mkv", "ass"), ("a.webm", "webvtt")]
)
def test_a_track_of_text_is_read(tmp_path: Path, name: str, codec: str) -> None:
    video = "libvpx-vp9" if name == "a.webm" else "libx264"
    path = write_video(tmp_path / name, regular(5, 10), codec=video, subtitles=TWO, subtitle_codec=codec)
    assert report(path).cues == (Cue(0.5, 1.5, "hello, you"), Cue(3, 4, "good bye"))
    assert report(path).text_warnings == ()


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mov_text"), ("a.mkv", "subrip"), ("a.mkv", "webvtt")])
@pytest.mark.parametrize("words", ["I <3 you -> for ever >", "1 < 2 > 0", "if a<b and c>d"])
def test_nothing_is_cut_out_of_the_words_of_a_track(
    tmp_path: Path, name: str, codec: str, words: str
) -> None:
    path = write_video(tmp_path / name, regular(5, 10), subtitles=[(500, 1500, words)], subtitle_codec=codec)
    assert [cue.text for cue in report(path).cues] == [words]


def test_times_count_from_the_first_frame(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mkv", [2000, 2500, 4000], subtitles=[(2500, 3500, "late")], subtitle_codec="subrip"
    )
    assert report(path).cues == (Cue(0.5, 1.5, "late"),)


def test_words_of_joined_recordings_follow_their_pictures(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", regular(5, 10), subtitles=TWO, subtitle_codec="subrip")
    path.write_bytes(path.read_bytes() * 2)
    read = report(path)
    assert read.duration == 10
    expected = [
        Cue(start + at, end + at, text)
        for at in (0, 5)
        for start, end, text in ((0.5, 1.5, "hello, you"), (3, 4, "good bye"))
    ]
    assert list(read.cues) == expected
    # The same without decoding.
    assert said(path, (), False, 10, Limits())[0] == tuple(expected)


def test_a_stray_time_of_the_pictures_moves_no_words(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mkv", regular(24, 10), subtitles=[(20000, 21000, "late")], subtitle_codec="subrip"
    )
    data = bytearray(path.read_bytes())
    cluster = data.index(CLUSTER, data.index(CLUSTER) + 4)
    time = data.index(b"\xe7\x82", cluster)
    data[time : time + 4] = b"\xe7\x82\xff\xff"
    path.write_bytes(data)
    assert report(path).cues == (Cue(20, 21, "late"),)


def test_drawings_of_an_ass_track_are_no_speech(tmp_path: Path) -> None:
    cues = [(500, 1500, "{\\p1}m 0 0 l 5 5{\\p0}"), (500, 1500, "{\\p1}m 0 0{\\p0}spoken")]
    path = write_video(tmp_path / "a.mkv", regular(5, 10), subtitles=cues, subtitle_codec="ass")
    assert [cue.text for cue in report(path).cues] == ["spoken"]


@pytest.mark.parametrize("seconds", [6, 20])
def test_sentences_without_an_end_last_until_the_next(tmp_path: Path, seconds: int) -> None:
    cues = [(1000, 1000, "first words"), (3000, 3000, "second words")]
    path = write_video(tmp_path / "a.mkv", regular(seconds, 10), subtitles=cues, subtitle_codec="subrip")
    end = min(3 + LAST_SECONDS, seconds)
    assert report(path).cues == (Cue(1, 3, "first words"), Cue(3, end, "second words"))


def test_a_track_of_an_unknown_kind_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", regular(5, 10), subtitles=TWO, subtitle_codec="subrip")
    found = report(replaced(path, b"S_TEXT/UTF8", b"S_TEXT/XYZ8"))
    assert found.cues == ()
    assert found.text_warnings == (
        "the subtitles inside it are not used (of an unknown kind); put them beside it as .srt",
    )


def test_a_track_of_pictures_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", regular(5, 10), subtitles=TWO, subtitle_codec="subrip")
    found = report(replaced(path, b"S_TEXT/UTF8", b"S_VOBSUB\0\0\0"))
    assert found.text_warnings == (
        "the subtitles inside it are not used (pictures: dvdsub); put them beside it as .srt",
    )
