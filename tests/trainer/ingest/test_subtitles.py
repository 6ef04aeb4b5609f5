"""Sentences and their times from files of every habit, and their rows on the grid."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from engine.errors import InvalidInput
from tests.trainer.ingest.factories import regular, write_video
from trainer.ingest.subtitles import Cue, clean, read_sidecar, subtitle_rows
from trainer.ingest.video import VideoSampler

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Grüße</i> an <font color="red">alle</font>

2
00:00:04,000 --> 00:00:05,000
{\\an8}- Second
- line &amp; more
"""
VTT = """WEBVTT

NOTE a remark

intro
00:01.000 --> 00:02.500 align:start position:10%
<v Anna>Hello <c.yellow>there</c>

00:00:04.000 --> 00:00:05.000
♪ ♪
"""


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252", "latin-1"]
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_srt_of_any_encoding(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(SRT.replace("\n", newline).encode(encoding))
    assert read_sidecar(path) == [Cue(1, 2.5, "Grüße an alle"), Cue(4, 5, "- Second - line & more")]


def test_vtt_without_its_tags_and_notes(tmp_path: Path) -> None:
    (tmp_path / "a.vtt").write_text(VTT)
    assert read_sidecar(tmp_path / "a.vtt") == [Cue(1, 2.5, "Hello there")]


def test_times_that_run_backwards_are_dropped_and_the_rest_sorted(tmp_path: Path) -> None:
    lines = [
        "00:00:09,000 --> 00:00:10,000\nlate",
        "00:00:05,000 --> 00:00:05,000\nnever",
        "00:00:01,000 --> 00:00:02,000\nearly",
    ]
    (tmp_path / "a.srt").write_text("\n\n".join(f"{i}\n{line}" for i, line in enumerate(lines)))
    assert [cue.text for cue in read_sidecar(tmp_path / "a.srt")] == ["early", "late"]


def test_what_is_no_subtitle_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("These are just words.\nNo times anywhere.\n")
    with pytest.raises(InvalidInput, match="repair or remove it"):
        read_sidecar(tmp_path / "a.srt")
    (tmp_path / "b.vtt").write_text("WEBVTT\n\n")
    assert read_sidecar(tmp_path / "b.vtt") == []
    (tmp_path / "c.srt").write_bytes(b"")
    assert read_sidecar(tmp_path / "c.srt") == []


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("a < b and c > d", "a < b and c > d"),
        ("<00:01.500>one <b>two</b>", "one two"),
        ("{\\pos(3,4)}one\\Ntwo\\hthree", "one two three"),
        ("&lt;3 &nbsp; you", "<3 you"),
        ("...", ""),
        ("♪", ""),
        ("日本語", "日本語"),
    ],
)
def test_clean(raw: str, words: str) -> None:
    assert clean(raw) == words


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mp4", "mov_text"), ("a.mkv", "subrip"), ("a.mkv", "ass"), ("a.webm", "webvtt")]
)
def test_embedded_tracks(tmp_path: Path, name: str, codec: str) -> None:
    video = "libvpx-vp9" if name == "a.webm" else "libx264"
    cues = [(500, 1500, "hello, you"), (3000, 4000, "good bye")]
    path = write_video(tmp_path / name, regular(5, 10), codec=video, subtitles=cues, subtitle_codec=codec)
    sampler = VideoSampler(path, Fraction(1), 32)
    list(sampler)
    assert sampler.report is not None
    assert sampler.report.cues == (Cue(0.5, 1.5, "hello, you"), Cue(3, 4, "good bye"))


def test_embedded_times_count_from_the_first_frame(tmp_path: Path) -> None:
    path = write_video(
        tmp_path / "a.mkv", [2000, 2500, 4000], subtitles=[(2500, 3500, "late")], subtitle_codec="subrip"
    )
    sampler = VideoSampler(path, Fraction(1), 32)
    list(sampler)
    assert sampler.report is not None
    assert sampler.report.cues == (Cue(0.5, 1.5, "late"),)


def test_rows_are_the_maximum_over_the_sentences_shown() -> None:
    vectors = {"a": np.array([1, -1], np.float32), "b": np.array([-2, 3], np.float32)}
    cues = [Cue(-1, 0.5, "a"), Cue(1, 2, "a"), Cue(1.9, 3.2, "b"), Cue(9, 99, "b")]
    rows = subtitle_rows(cues, vectors, 5, Fraction(1), 2)
    np.testing.assert_array_equal(rows, [[1, -1], [1, 3], [-2, 3], [-2, 3], [0, 0]])
    half = subtitle_rows([Cue(0, 2.1, "b")], vectors, 3, Fraction(1, 2), 2)
    np.testing.assert_array_equal(half, [[-2, 3], [-2, 3], [0, 0]])
    assert subtitle_rows([], {}, 4, Fraction(1), 2).tolist() == [[0, 0]] * 4
