"""Stored texts: what is said and written in a video, kept beside its features."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import Mismatch
from engine.texts import Line
from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.levels import Levels, run, store
from trainer.ingest import screens, texts
from trainer.ingest.subtitles import Cue
from trainer.ingest.texts import Texts
from trainer.ingest.transcripts import Transcripts

SRT = "1\n00:00:01,000 --> 00:00:02,500\ngood morning\n\n2\n00:00:03,000 --> 00:00:09,000\nto you\n"
SAID = (Line(1.0, 2.5, "good morning"), Line(3.0, 4.0, "to you"))
SCREEN = Line(0.5, 3.0, "Gate <7> & 8", (0.1, 0.2, 0.5, 0.3))


def kept(root: Path, video: str) -> Texts:
    return texts.read(root / "c", store(root).record(video).info)


def forget_texts(root: Path, video: str) -> None:
    """Let a collection be one of before texts were kept."""
    features = store(root)
    record = features.record(video)
    features.close()
    with type(features).open(features.path, "a") as written:
        info = {name: value for name, value in record.info.items() if name not in ("screen", texts.KEY)}
        written.revise(video, uri=record.uri, info=info)
    for path in (root / "c" / texts.DIRECTORY).iterdir():
        path.unlink()


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write_video(tmp_path / "film.mp4", regular(4, 5), rate=5)


def screen(root: Path, video: str, *lines: Line) -> Path:
    """Write what was read of a video, and return the file."""
    read, content = Transcripts.of_screens(root / "c"), store(root).record(video).sha256
    read.write(content, "film.mp4", "reader 1", "", lines)
    return read.path(content)


def test_cues_are_kept_with_their_language_whatever_they_come_from(film: Path, tmp_path: Path) -> None:
    film.with_suffix(".de-AT.srt").write_text(SRT)
    subtitles = [(1000, 2500, "good morning"), (3000, 6000, "to you")]
    inside = write_video(
        tmp_path / "inside.mkv", regular(4, 5), rate=5, subtitles=subtitles, subtitle_codec="ass"
    )
    run(tmp_path, film, inside)
    assert kept(tmp_path, "film") == Texts(SAID, language="de")
    assert kept(tmp_path, "inside").said == SAID
    heard = Transcripts.of(tmp_path / "c")
    film.with_suffix(".de-AT.srt").unlink()
    heard.write(store(tmp_path).record("film").sha256, "film.mp4", "parrot", "fr", [Cue(1.0, 2.5, "bonjour")])
    run(tmp_path, film)
    assert kept(tmp_path, "film") == Texts((Line(1.0, 2.5, "bonjour"),), language="fr")


def test_a_collection_of_before_gains_texts_without_decoding(film: Path, tmp_path: Path) -> None:
    film.with_suffix(".srt").write_text(SRT)
    # Its time begins at the first frame, half a second after the sound.
    late = write_video(
        tmp_path / "late.mkv",
        [500 + at for at in regular(4, 5)],
        rate=5,
        audio_seconds=4.0,
        subtitles=[(1500, 1500, "good morning"), (3500, 6000, "to you")],
        subtitle_codec="ass",
    )
    late_srt = write_video(
        tmp_path / "other.mp4", [500 + at for at in regular(4, 5)], rate=5, audio_seconds=4
    )
    late_srt.with_suffix(".srt").write_text(SRT)
    videos = ("film", "late", "other")
    run(tmp_path, film, late, late_srt)
    before = [kept(tmp_path, video) for video in videos]
    assert [each.said[0].start for each in before] == [1.0, 1.0, 0.5]
    for video in videos:
        forget_texts(tmp_path, video)
    encoder = Levels()
    summary = run(tmp_path, film, late, late_srt, encoder=encoder)
    assert (summary.ingested, summary.skipped, summary.decoded_frames, encoder.batches) == (0, 3, 0, [])
    assert [kept(tmp_path, video) for video in videos] == before


def test_what_was_read_on_the_screen_is_kept_and_corrected(film: Path, tmp_path: Path) -> None:
    film.with_suffix(".srt").write_text(SRT)
    run(tmp_path, film)
    path = screen(tmp_path, "film", SCREEN)
    encoder = Levels()
    summary = run(tmp_path, film, encoder=encoder)
    assert (summary.ingested, summary.skipped, encoder.batches) == (0, 1, [])
    assert kept(tmp_path, "film") == Texts(SAID, (SCREEN,))
    path.write_text(path.read_text().replace("Gate", "Bay") + "\n00:01.000 --> 00:09.000\nby hand\n")
    os.utime(path, (1, 1))
    run(tmp_path, film)
    corrected = Line(0.5, 3.0, "Bay <7> & 8", SCREEN.box), Line(1.0, 4.0, "by hand")
    assert kept(tmp_path, "film") == Texts(SAID, corrected)
    path.unlink()
    run(tmp_path, film)
    assert kept(tmp_path, "film") == Texts(SAID)


def test_what_a_correction_leaves_without_times_is_told(film: Path, tmp_path: Path) -> None:
    run(tmp_path, film)
    content, heard = store(tmp_path).record("film").sha256, Transcripts.of(tmp_path / "c")
    path = screen(tmp_path, "film", SCREEN, Line(1.0, 2.0, "stays"))
    heard.write(content, "film.mp4", "parrot", "en", [Cue(1.0, 2.0, "one"), Cue(1.0, 3.0, "two")])
    for file in (path, heard.path(content)):
        file.write_text(file.read_text().replace("00:00:01.000 -->", "soon -->"))
    told = [warning["warning"] for warning in run(tmp_path, film).warnings]
    assert told == [
        f"{content}.vtt: {count} of its cues have no times that can be used and are left out"
        for count in (2, 1)
    ]
    # Who strikes all out says that there is nothing.
    heard.write(content, "film.mp4", "parrot", "en", [])
    path.write_text("WEBVTT\n\nNOTE by hand\n")
    assert run(tmp_path, film).warnings == []


@pytest.mark.parametrize("damage", ["gone", "cut", "of another"])
def test_lost_texts_are_written_anew(film: Path, tmp_path: Path, damage: str) -> None:
    film.with_suffix(".srt").write_text(SRT)
    run(tmp_path, film)
    [path] = (tmp_path / "c" / texts.DIRECTORY).iterdir()
    info = store(tmp_path).record("film").info
    path.unlink()
    if damage != "gone":
        path.write_text('{"said": [[0, 1, "so' if damage == "cut" else '{"said": [[0, 1, "bye"]]}')
        with pytest.raises(Mismatch, match="is damaged: ingest its video again"):
            texts.read(tmp_path / "c", info)
    assert not texts.whole(tmp_path / "c", info)
    run(tmp_path, film)
    assert kept(tmp_path, "film").said == SAID


@pytest.mark.parametrize(
    "save",
    [
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("cp1252"),
        lambda text: text.replace("\n", "\r").encode(),
        lambda text: text.replace("\n", "\r\n").encode("utf-8-sig"),
        lambda text: text.replace("\n\n0", "\n0").encode(),
    ],
    ids=["utf-16", "cp1252", "cr", "crlf", "no empty lines"],
)
def test_a_reading_that_an_editor_saved_its_way_is_read(tmp_path: Path, save: Callable[[str], bytes]) -> None:
    lines = (
        Line(0.5, 3.0, "Ausgang zum Übergang größer", SCREEN.box),
        Line(3.0, 4.0, "Süden: Straße"),
        SCREEN,
    )
    readings = Transcripts.of_screens(tmp_path)
    readings.write("a", "film.mp4", "reader 1", "", lines)
    text = readings.path("a").read_text(encoding="utf-8")
    readings.path("a").write_bytes(save(text))
    assert screens.read(readings.path("a")) == tuple(sorted(lines, key=lambda line: line.start))


def test_of_a_flood_of_texts_the_first_of_each_second_are_kept(film: Path, tmp_path: Path) -> None:
    run(tmp_path, film)
    flood = [Line(at % 4, at % 4 + 1, f"text {at}") for at in range(4000)]
    screen(tmp_path, "film", *sorted(flood, key=lambda line: line.start))
    run(tmp_path, film)
    found = kept(tmp_path, "film").written
    assert len(found) == 4 * texts.MOST_AT_ONCE
    assert {line.text for line in found} == {f"text {at}" for at in range(2000)}


def test_texts_go_with_their_video(film: Path, tmp_path: Path) -> None:
    film.with_suffix(".srt").write_text(SRT)
    other = write_video(tmp_path / "other.mp4", regular(1, 5), rate=5)
    run(tmp_path, film, other)
    assert store(tmp_path).record("other").info[texts.KEY] == ""
    assert len(list((tmp_path / "c" / texts.DIRECTORY).iterdir())) == 1
    film.with_suffix(".srt").write_text(SRT.replace("morning", "evening"))
    run(tmp_path, film)
    [path] = (tmp_path / "c" / texts.DIRECTORY).iterdir()
    assert "evening" in path.read_text()
    film.with_suffix(".srt").unlink()
    run(tmp_path, film)
    assert not list((tmp_path / "c" / texts.DIRECTORY).iterdir())
