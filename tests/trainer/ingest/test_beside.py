"""No subtitle file that people mean for a video is passed over without a word."""

from pathlib import Path

import pytest

from tests.trainer.ingest.test_scan import touch
from tests.trainer.ingest.test_sidecars import chosen
from trainer.ingest.beside import Sidecars
from trainer.ingest.scan import printable


@pytest.mark.parametrize(
    "name", ["Subs/film.srt", "subtitles/Film.en.srt", "SUBS/film.mp4.de.vtt", "film.webvtt", "film.sbv"]
)
def test_folders_that_players_look_into_are_searched(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "film.mp4", "other.mp4", name)
    assert Sidecars().of(tmp_path / "film.mp4").path == tmp_path / name
    assert Sidecars().of(tmp_path / "other.mp4").notes == ()
    touch(tmp_path, "film.forced.srt", "film.fr.srt")
    best = name if name in ("film.webvtt", "film.sbv") else "film.fr.srt"
    assert chosen(tmp_path, "film.mp4") == {"film.mp4": best}


@pytest.mark.parametrize(
    "name",
    ["film.sub", "film.en.SMI", "film.sup", "film.lrc", "film.de.ttml", "Film.srt.txt", "subs/film.smi"],
)
def test_a_format_that_is_not_read_is_told(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "film.mp4", "other.mp4", name)
    (note,) = Sidecars().of(tmp_path / "film.mp4").notes
    assert (
        note == f"{name} beside it is not used, for it is of a kind that is not read; convert it to film.srt"
    )
    assert Sidecars().of(tmp_path / "other.mp4").notes == ()


@pytest.mark.parametrize("name", ["fi lm.sub", "film notes.sup", "English.smi"])
def test_no_renaming_is_told_of_a_format_that_is_not_read(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "film.mp4", name)
    (note,) = Sidecars().of(tmp_path / "film.mp4").notes
    assert note.endswith("for it is of a kind that is not read; convert it to film.srt")


def test_what_can_be_renamed_is_told_before_what_cannot(tmp_path: Path) -> None:
    touch(tmp_path, "film.mp4", "English.srt", "English.sub")
    (note,) = Sidecars().of(tmp_path / "film.mp4").notes
    assert note.startswith("English.srt beside it is not used, for its name is not the video's")


@pytest.mark.parametrize(
    "name", ["English.srt", "Subs/2_English.srt", "Subs/film/3_French.srt", "movie.en.srt"]
)
def test_the_subtitles_of_a_folders_only_video_are_told(tmp_path: Path, name: str) -> None:
    touch(tmp_path, "film.mp4", "notes.txt", name)
    beside = Sidecars().of(tmp_path / "film.mp4")
    assert beside.path is None
    (note,) = beside.notes
    assert note.startswith(f"{name} beside it is not used, for its name ")
    assert note.endswith("; call it film.srt if it is this video's")


def test_a_folder_of_subtitles_named_as_a_video_is_told_of_it_alone(tmp_path: Path) -> None:
    touch(tmp_path, "e1.mp4", "e2.mp4", "Subs/e1/2_English.srt", "Subs/e1/3_French.srt", "unknown.srt")
    (note,) = Sidecars().of(tmp_path / "e1.mp4").notes
    assert note.startswith("Subs/e1/2_English.srt, Subs/e1/3_French.srt beside it is not used")
    assert Sidecars().of(tmp_path / "e2.mp4").notes == ()


@pytest.mark.parametrize(
    ("name", "subtitles"),
    [
        ("My Film.mp4", "My.Film.srt"),
        ("My\u00a0Film .mp4", "My Film.srt"),
        ("İstanbul.mp4", "istanbul.en.srt"),
        ("Übung.mp4", "ubung.srt"),
        ("Show.S01E01.1080p.WEB.mkv", "Show S01E01.720p.srt"),
    ],
)
def test_subtitles_of_a_name_like_a_videos_are_told(tmp_path: Path, name: str, subtitles: str) -> None:
    others = ("Show.S01E02.1080p.WEB.mkv", "Other.mp4")
    touch(tmp_path, name, *others, subtitles)
    sidecars = Sidecars()
    stem = name.rpartition(".")[0]
    (note,) = sidecars.of(tmp_path / name).notes
    assert note.startswith(f"{subtitles} beside it is not used, for its name is not the video's; call it ")
    assert note.endswith(f"{printable(stem)}.srt if it is this video's")
    assert not any(sidecars.of(tmp_path / other).notes for other in others)


def test_subtitles_that_may_be_of_either_video_are_told_of_neither(tmp_path: Path) -> None:
    touch(tmp_path, "Show.S01E01.mkv", "Show.S01E02.mkv", "Show.S01.srt", "zebra.srt")
    sidecars = Sidecars()
    assert [sidecars.of(tmp_path / f"Show.S01E0{n}.mkv").notes for n in (1, 2)] == [(), ()]
