"""Subtitles inside a video, of every kind of track."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from tests.trainer.ingest.factories import mux_subtitle, regular, write_video
from trainer.ingest.limits import Limits
from trainer.ingest.said import said
from trainer.ingest.subtitles import Cue
from trainer.ingest.text_tracks import LAST_SECONDS
from trainer.ingest.video import VideoReport, VideoSampler

TWO = [(500, 1500, "hello, you"), (3000, 4000, "good bye")]


CLUSTER = b"\x1f\x43\xb6\x75"
CAPTIONS = """Scenarist_SCC V1.0

00:00:01:00\t9420 9420 94ad 94ad 9470 9470 c8e5 ecec ef80 942f 942f

00:00:02:15\t942c 942c

00:00:03:00\t9420 9420 94ad 94ad 9470 9470 c279 e5a1 942f 942f

00:00:05:00\t942c 942c
"""


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


def two_tracks(path: Path, title: str, disposition: Disposition) -> Path:
    """Write a video with a first text track of a title and disposition, and a second one without."""
    with av.open(path, "w") as container:
        pictures: Any = container.add_stream("libx264", rate=10)
        pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        texts: list[Any] = [container.add_stream("subrip") for _ in range(2)]
        for text in texts:
            text.codec_context.subtitle_header = b"[Script Info]\n"
        texts[0].metadata["title"], texts[0].disposition = title, disposition
        texts[1].disposition = Disposition(0)
        for index in range(30):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index, np.uint8), format="rgb24")
            container.mux(pictures.encode(frame))
        container.mux(pictures.encode(None))
        for text, words in zip(texts, ("first", "second"), strict=True):
            mux_subtitle(container, text, 1000, 2000, words)
    return path


@pytest.mark.parametrize(
    ("title", "disposition", "words"),
    [
        ("", Disposition.default, "first"),
        ("Full, with signs & songs", Disposition.default, "first"),
        ("", Disposition.forced | Disposition.default, "second"),
        ("", Disposition.comment, "second"),
        ("Director's Commentary", Disposition.default, "second"),
        ("Signs & Songs [Group]", Disposition.default, "second"),
    ],
)
def test_a_track_of_all_that_is_said_goes_before_one_of_a_part(
    tmp_path: Path, title: str, disposition: Disposition, words: str
) -> None:
    assert report(two_tracks(tmp_path / "a.mkv", title, disposition)).cues == (Cue(1, 2, words),)


@pytest.mark.parametrize(
    ("name", "title", "words"),
    [
        ("Signs.2002.mkv", "Signs", "first"),
        ("Songs of the South.mkv", "Songs of the South (English)", "first"),
        ("Signs.2002.mkv", "Signs (Forced)", "second"),
    ],
)
def test_a_film_s_own_title_says_nothing_of_its_tracks(
    tmp_path: Path, name: str, title: str, words: str
) -> None:
    assert report(two_tracks(tmp_path / name, title, Disposition.default)).cues == (Cue(1, 2, words),)


def test_closed_captions_last_until_they_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "a.scc").write_text(CAPTIONS)
    film = write_video(tmp_path / "film.mp4", regular(6, 10))
    with (
        av.open(film) as pictures,
        av.open(tmp_path / "a.scc") as texts,
        av.open(tmp_path / "a.mov", "w") as out,
    ):
        streams = [given.streams[0] for given in (pictures, texts)]
        copies = [out.add_stream_from_template(stream) for stream in streams]
        for given, copy in zip((pictures, texts), copies, strict=True):
            for packet in given.demux():
                if packet.size:
                    packet.stream = copy
                    out.mux(packet)
    found = report(tmp_path / "a.mov")
    # The muxer leaves the last one out, which clears the screen.
    assert found.cues == (Cue(1, 2.495, "Hello"), Cue(3, 6, "Bye!"))
    assert found.text_warnings == ()


@pytest.mark.parametrize(("pair", "told"), [(b"\x94\x20", True), (b"\x80\x80", False)])
def test_closed_captions_in_pictures_are_told(tmp_path: Path, pair: bytes, told: bool) -> None:
    path = write_video(tmp_path / "a.h264", regular(2, 10))
    said = b"\xb5\x00\x31GA94\x03\x41\xff\xfc" + pair + b"\xff"
    unit = b"\0\0\0\1\x06\x04" + bytes([len(said)]) + said + b"\x80"
    data = path.read_bytes()
    path.write_bytes(re.sub(rb"\x00\x00\x01[\x41\x61\x65]", lambda start: unit + start.group(), data))
    assert [("closed captions" in warning) for warning in report(path).text_warnings] == [True] * told


def test_a_track_that_ffmpeg_takes_for_data_is_told(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", regular(5, 10), subtitles=TWO, subtitle_codec="mov_text")
    assert report(replaced(path, b"tx3g", b"wvtt")).text_warnings == (
        "the subtitles inside it are not used (WebVTT in MP4); put them beside it as .srt",
    )
