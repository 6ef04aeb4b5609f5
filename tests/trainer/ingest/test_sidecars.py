"""Which subtitle file is whose, and what is in it, whatever it is."""

import os
import time
import unicodedata
from pathlib import Path

import pytest

from tests.trainer.ingest.test_scan import touch
from trainer.ingest import sidecars
from trainer.ingest.beside import Sidecars
from trainer.ingest.limits import Limits
from trainer.ingest.sidecars import read_sidecar, says_nothing
from trainer.ingest.subtitles import Cue

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Grüße</i> an <font color="red">alle</font>

2
00:00:04,000 --> 00:00:05,000
{\\an8}- Second
- line &amp; more
"""


def chosen(folder: Path, *videos: str) -> dict[str, str | None]:
    sidecars = Sidecars()
    found = {video: sidecars.of(folder / video).path for video in videos}
    return {video: path.name if path else None for video, path in found.items()}


def test_a_subtitle_file_has_the_videos_name_and_perhaps_a_language(tmp_path: Path) -> None:
    touch(tmp_path, "a.srt", "a.vtt", "b.vtt", "b.en.srt", "c.pt-BR.srt", "c.en.vtt", "d.part.2.srt", "E.SRT")
    touch(tmp_path, "f.x.srt", "g.ass", ".h.srt", "i.mkv.srt")
    assert chosen(tmp_path, *(f"{name}.mp4" for name in "abcdEfgh"), "i.mkv", "d.part.mp4") == {
        "a.mp4": "a.srt",
        "b.mp4": "b.vtt",
        "c.mp4": "c.pt-BR.srt",
        "d.mp4": None,
        "E.mp4": "E.SRT",
        "f.mp4": None,
        "g.mp4": "g.ass",
        "h.mp4": None,
        "i.mkv": "i.mkv.srt",
        "d.part.mp4": "d.part.2.srt",
    }
    assert Sidecars().of(tmp_path / "nowhere" / "a.mp4").path is None


@pytest.mark.parametrize(
    "name",
    [
        "film.en.sdh.srt",
        "film.en.forced.srt",
        "film.de-AT.srt",
        "film.zh-Hant-TW.srt",
        "film.eng.srt",
        "film.English.srt",
        "film.pt_BR.hi.vtt",
        "film.mp4.en.srt",
        "film.EN.Default.SRT",
        "FILM.srt",
        "Film.En.srt",
    ],
)
def test_names_that_players_take(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "film.mp4", name)
    beside = Sidecars().of(tmp_path / "film.mp4")
    assert beside.path == tmp_path / name
    assert beside.notes == ()


def test_accents_may_be_characters_of_their_own(tmp_path: Path) -> None:
    apart, whole = (unicodedata.normalize(form, "café") for form in ("NFD", "NFC"))
    touch(tmp_path, f"a/{whole}.mp4", f"a/{apart}.srt", f"b/{apart}.mp4", f"b/{whole}.de.srt")
    assert chosen(tmp_path / "a", f"{whole}.mp4") == {f"{whole}.mp4": f"{apart}.srt"}
    assert chosen(tmp_path / "b", f"{apart}.mp4") == {f"{apart}.mp4": f"{whole}.de.srt"}


def test_what_is_another_videos_own_is_never_offered(tmp_path: Path) -> None:
    touch(
        tmp_path, "talk.mp4", "talk.cut.MKV", "talk.cut.srt", "talk.cut.en.srt", "talk.en.mov", "talk.en.srt"
    )
    assert chosen(tmp_path, "talk.mp4", "talk.cut.MKV", "talk.en.mov") == {
        "talk.mp4": None,
        "talk.cut.MKV": "talk.cut.srt",
        "talk.en.mov": "talk.en.srt",
    }


def test_of_names_that_differ_in_letter_case_each_has_its_own(tmp_path: Path) -> None:
    touch(tmp_path, "Talk.mp4", "talk.mp4", "talk.srt")
    if len(os.listdir(tmp_path)) < 3:
        pytest.skip("this file system does not tell letter case apart")
    assert chosen(tmp_path, "Talk.mp4", "talk.mp4") == {"Talk.mp4": None, "talk.mp4": "talk.srt"}


def test_the_choice_among_several_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "film.mp4", "film.de.forced.srt", "film.de.srt", "film.en.sdh.srt", "film.en.srt")
    beside = Sidecars().of(tmp_path / "film.mp4")
    assert beside.path == tmp_path / "film.de.srt"
    assert beside.notes == (
        "film.de.srt is used for its subtitles, film.en.srt, film.en.sdh.srt, film.de.forced.srt beside it "
        "not; call the one to use film.srt",
    )


def test_a_name_that_says_nothing_known_is_told(tmp_path: Path) -> None:
    touch(tmp_path, "film.mp4", "film.final-cut.srt", "filmography.srt")
    beside = Sidecars().of(tmp_path / "film.mp4")
    assert beside.path is None
    assert beside.notes == (
        "film.final-cut.srt beside it is not used, for its name says neither a language nor a kind; "
        "call it film.srt if it is this video's",
    )


@pytest.mark.parametrize(
    "name", ["film_en.srt", "film-en.srt", "Film [en].srt", "film (2).de.srt", "film en.srt"]
)
def test_a_name_set_apart_by_no_dot_is_told_of_the_video_it_is_nearest(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "film.mp4", "fil.mp4", name)
    sidecars = Sidecars()
    (note,) = sidecars.of(tmp_path / "film.mp4").notes
    assert note.startswith(f"{name} beside it is not used")
    assert sidecars.of(tmp_path / "fil.mp4").notes == ()


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
def test_a_subtitle_file_of_any_encoding(tmp_path: Path, encoding: str, newline: str) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(SRT.replace("\n", newline).encode(encoding))
    read = read_sidecar(path)
    assert read.cues == (Cue(1, 2.5, "Grüße an alle"), Cue(4, 5, "- Second - line & more"))
    assert [warning.startswith("a.srt: it is not in Unicode") for warning in read.warnings] == (
        [True] if encoding == "cp1252" else []
    )


def test_cues_left_out_are_told_and_the_rest_sorted(tmp_path: Path) -> None:
    stamps = [
        "00:00:09,000 --> 00:00:10,000",
        "00:00:05,000 --> 00:00:05,000",
        "00:00:01,000 --> 00:00:02,000",
    ]
    texts = ["late", "never", "early", "♪"]
    cues = "\n\n".join(f"{stamp}\n{text}" for stamp, text in zip([*stamps, stamps[0]], texts, strict=True))
    (tmp_path / "a.srt").write_text(cues + "\n\n00:00:03,000 --> 00:00:04,000\n" + "long " * 3000)
    read = read_sidecar(tmp_path / "a.srt")
    assert [cue.text for cue in read.cues] == ["early", "late"]
    assert read.warnings == (
        "a.srt: 1 of its cues have no times that can be used and are left out",
        "a.srt: 1 of its cues have more than 10000 characters and are left out",
    )


def warning(path: Path) -> str:
    read = read_sidecar(path)
    assert read.cues == ()
    (found,) = read.warnings
    assert found.startswith(path.name)
    return found


def test_what_is_no_subtitle_file_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("These are just words.\nNo times anywhere.\n")
    assert "repair or remove it" in warning(tmp_path / "a.srt")
    (tmp_path / "b.srt").write_bytes(bytes(range(256)) * 40)
    warning(tmp_path / "b.srt")
    (tmp_path / "h.srt").write_bytes("{0}{25}Привет, как дела?\n".encode("cp1251"))
    assert "no subtitle with its times" in warning(tmp_path / "h.srt")
    (tmp_path / "c.srt").symlink_to("nowhere.srt")
    assert "cannot be read" in warning(tmp_path / "c.srt")
    (tmp_path / "d.srt").mkdir()
    assert "no regular file" in warning(tmp_path / "d.srt")
    os.mkfifo(tmp_path / "e.srt")
    assert "no regular file" in warning(tmp_path / "e.srt")
    (tmp_path / "f.srt").symlink_to("/dev/zero")
    assert "no regular file" in warning(tmp_path / "f.srt")
    (tmp_path / "g.srt").write_text(SRT)
    (tmp_path / "g.srt").chmod(0)
    if not os.access(tmp_path / "g.srt", os.R_OK):
        assert "cannot be read (Permission denied)" in warning(tmp_path / "g.srt")


@pytest.mark.parametrize("text", ["", "WEBVTT\n\n", "\ufeff", "1\n00:00:01,000 --> 00:00:02,000\n♪\n"])
def test_a_subtitle_file_in_which_nothing_is_said_is_none_to_warn_of(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.srt").write_text(text)
    read = read_sidecar(tmp_path / "a.srt")
    assert (read.cues, read.warnings) == ((), ())


@pytest.mark.parametrize(
    "text", ["<a" * 10_000_000, "x" * 28_000_000, "1\n0:0:1,0 --> 0:0:2,0\na\n\n" * 1_000_000]
)
def test_what_is_too_large_is_refused_at_once(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.srt").write_text(text)
    began = time.process_time()
    told = warning(tmp_path / "a.srt")
    assert "at most 16 are read; leave out what is no speech, or raise --max-subtitle-mb" in told
    assert time.process_time() - began < 1


def test_a_larger_subtitle_file_is_read_where_that_is_allowed(tmp_path: Path) -> None:
    cue = "{0}\n{1:02}:{2:02}:00,000 --> {1:02}:{2:02}:01,000\nw{0}\n\n"
    text = "".join(cue.format(n, n // 60 % 100, n % 60) for n in range(6300))
    (tmp_path / "a.srt").write_text(text)
    refused = read_sidecar(tmp_path / "a.srt", Limits(subtitle_mb=1))
    assert "more than 6250 cues" in refused.warnings[0]
    assert len(read_sidecar(tmp_path / "a.srt", Limits(subtitle_mb=2)).cues) == 6300


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "cp1252"])
@pytest.mark.parametrize(("words", "says"), [("grün", True), ("[iso : 110] [shutter : 1/200.0]", False)])
def test_whether_a_long_file_says_something_is_soon_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, words: str, says: bool
) -> None:
    path = tmp_path / "a.srt"
    times = [f"00:{i // 60:02}:{i % 60:02}" for i in range(900)]
    cues = [f"{time},000 --> {time},500\n{words}\n" for time in times]
    path.write_bytes("\n".join(cues).encode(encoding))
    assert says_nothing(path) is not says
    path.write_bytes(("\n".join(cues) + "\n00:59:00,000 --> 00:59:01,000\nspoken\n").encode(encoding))
    assert not says_nothing(path)
    if says:
        monkeypatch.setattr(sidecars, "read_sidecar", None)
        assert not says_nothing(path)
