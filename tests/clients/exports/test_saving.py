"""Files and clips of an answer, as `spr search --format` and `--export` write them."""

import csv
import errno
import io
import json
import os
import re
import resource
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from click.testing import CliRunner, Result

import spr_client
from engine.errors import InvalidInput
from spr_cli import search
from spr_client import SearchResult
from spr_gateway.exports.clipping import save_clips
from spr_gateway.exports.excerpts import excerpts
from spr_gateway.exports.otio import as_otio
from spr_gateway.exports.saving import file_names, save
from spr_gateway.exports.tables import as_chapters, as_csv, as_json
from tests.clients.exports.films import answer, film, moment, shown
from tests.trainer.ingest.factories import grey, regular, write_video

# x264 puts a key frame at every change of scene, if left alone.
SPARSE = {"g": "250", "x264-params": "scenecut=0"}
Ask = Callable[..., Result]


def test_tables_hold_every_moment() -> None:
    found = answer(moment('a "b", c', 1.25, 3.5), moment("=x", 0.0, 1.0, 2))
    rows = list(csv.DictReader(io.StringIO(as_csv("q, r", found))))
    assert [(row["query"], row["video"], float(row["start"]), row["rank"]) for row in rows] == [
        ("q, r", 'a "b", c', 1.25, "1"),
        ("q, r", "=x", 0.0, "2"),
    ]
    assert json.loads(as_json("q", found))["moments"][0]["end"] == 3.5


def test_chapters_are_in_order_of_time_a_file_a_video() -> None:
    moments = (moment("a", 70.0, 75.5), moment("b", 0.0, 1.0, 2), moment("a", 3.0, 4.0, 3))
    chapters = as_chapters("x --> <y>", moments)
    assert list(chapters) == ["a", "b"]
    assert chapters["a"] == (
        "WEBVTT\n\n00:00:03.000 --> 00:00:04.000\nx --&gt; &lt;y&gt; (#3, 93%)\n\n"
        "00:01:10.000 --> 00:01:15.500\nx --&gt; &lt;y&gt; (#1, 93%)\n"
    )


def test_files_of_videos_have_names_of_their_own(tmp_path: Path) -> None:
    names = file_names(["a/b", "a b", "A_B", "../..", "", "ü"])
    assert len({name.lower() for name in names.values()}) == 6
    assert all("/" not in name and not name.startswith(".") for name in names.values())
    assert [path.name for path in save({"a/b": "x", "a:b": "y"}, "vtt", tmp_path)] == ["a_b.vtt", "a_b-2.vtt"]
    for text, out in (("one", tmp_path), ({"v": "x"}, tmp_path / "a_b.vtt")):
        with pytest.raises(InvalidInput, match="names a f"):
            save(text, "vtt", out)


@pytest.mark.parametrize("letter", ["ü", "u\u0308", "影", "🎬"])
def test_videos_with_long_names_have_files(tmp_path: Path, letter: str) -> None:
    ids = [(letter * 100)[:84] + end for end in ("a", "b")]
    first, second = save(dict.fromkeys(ids, "x"), "edl", tmp_path)
    assert first != second
    assert first.read_text() == second.read_text() == "x"
    # A clip's name has a rank and a span too.
    assert max(len(name.encode()) for name in file_names(ids).values()) < 170
    assert file_names(["u\u0308ber"])["u\u0308ber"] == "\u00fcber"


def test_without_its_library_otio_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentimelineio", None)
    with pytest.raises(InvalidInput, match=r'pip install "spr-engine\[editors\]"'):
        as_otio("q", [])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> SearchResult:
    """An answer with a moment behind a key frame, one far from any, and one in a file that is away."""
    folder = tmp_path_factory.mktemp("films")
    dense = write_video(folder / "dense.mp4", regular(6.0, 10), options={"g": "10"}, audio_seconds=6.0)
    sparse = write_video(folder / "sparse.mkv", regular(6.0, 10), options=SPARSE, rotation=90)
    return answer(
        moment("dense", 2.3, 3.3, 1, dense.as_uri()),
        moment("sparse", 3.3, 4.25, 2, sparse.as_uri()),
        moment("gone", 0.0, 1.0, 3, (folder / "gone.mp4").as_uri()),
    )


def test_clips_hold_their_moments_and_the_manifest_says_how(found: SearchResult, tmp_path: Path) -> None:
    cuts, away, _ = excerpts(found.moments, None)
    assert len(away) == 1
    told = list[dict[str, Any]]()
    manifest, failed = save_clips("q", found, cuts, tmp_path / "clips", told.append)
    assert not failed
    assert json.loads((tmp_path / "clips" / "manifest.json").read_text()) == manifest
    dense, sparse = manifest["clips"]
    assert told == [dense, sparse]
    assert (dense["how"], dense["begins"], dense["early"]) == ("copied", 2.0, 0.3)
    assert dense["ends"] >= 3.3
    assert (sparse["how"], sparse["begins"], sparse["ends"]) == ("encoded", 3.3, 4.3)
    assert (sparse["timecode_in"], sparse["timecode_out"]) == ("00:00:03:03", "00:00:04:03")
    with av.open(tmp_path / "clips" / dense["file"]) as clip:
        assert len(clip.streams.audio) == 1
        frames = list(clip.decode(video=0))
        assert frames[0].time == 0.0
        assert _levels(frames)[:13] == pytest.approx([grey(n) for n in range(20, 33)], abs=8)
    with av.open(tmp_path / "clips" / sparse["file"]) as clip:
        frames = list(clip.decode(video=0))
        assert _levels(frames) == pytest.approx([grey(n) for n in range(33, 43)], abs=8)
        assert frames[0].rotation == 90


def test_the_manifest_names_a_file_whose_name_is_no_utf8(tmp_path: Path) -> None:
    path = write_video(tmp_path / os.fsdecode(b"\xff.mp4"), regular(2.0, 10))
    cuts, _, _ = excerpts([moment("a", 0.0, 1.0, 1, path.as_uri())], None)
    save_clips("q", answer(), cuts, tmp_path / "clips", lambda _: None)
    [clip] = json.loads((tmp_path / "clips" / "manifest.json").read_text())["clips"]
    assert clip["source"] == f"{tmp_path}/\\xff.mp4"


def test_a_file_that_is_cut_off_ends_no_export(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", regular(6.0, 10), codec="mpeg4")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 4 // 7])
    found = answer(moment("a", 0.3, 1.3, 1, path.as_uri()), moment("a", 3.3, 4.6, 2, path.as_uri()))
    cuts, away, _ = excerpts(found.moments, None)
    manifest, failed = save_clips("q", found, cuts, tmp_path / "clips", lambda _: None)
    assert not away
    assert len(manifest["clips"]) + len(failed) == 2


def test_a_full_disk_is_told_and_leaves_no_half_of_a_clip(
    found: SearchResult, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cuts, _, _ = excerpts(found.moments, None)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=re.escape(os.strerror(errno.EFBIG))):
            save_clips("q", found, cuts, tmp_path / "clips", lambda _: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "clips").iterdir())
    assert not capfd.readouterr().err


def _levels(frames: list[Any]) -> list[float]:
    return [float(frame.to_ndarray(format="rgb24").mean()) for frame in frames]


@pytest.fixture
def ask(found: SearchResult, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """`spr search` of a service that answers `found`."""
    monkeypatch.setattr(spr_client.Client, "search", lambda *_, **__: found)
    return lambda *words: CliRunner().invoke(search.command, ["a ball", *map(str, words)])


def test_the_command_writes_what_is_there_and_says_what_is_not(ask: Ask, tmp_path: Path) -> None:
    printed = ask("--format", "csv")
    assert printed.exit_code == 0
    assert printed.stdout.count("\n") == 4
    result = ask("--format", "edl", "--out", tmp_path / "edl", "--export", tmp_path / "clips")
    assert result.exit_code == 1
    assert sorted(path.name for path in (tmp_path / "edl").iterdir()) == ["dense.edl", "sparse.edl"]
    assert "without re-encoding, from 0.30 s before it" in result.stderr
    assert "re-encoded, frame-exact" in result.stderr
    assert "gone.mp4 of video 'gone' is not there; name the folder it is in with --media" in result.stderr
    (tmp_path / "empty").mkdir()
    nothing = ask("--format", "fcpxml", "--out", tmp_path / "x.fcpxml", "--media", tmp_path / "empty")
    assert nothing.exit_code == 2
    assert not (tmp_path / "x.fcpxml").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--out", "x"], "--out needs --format"),
        (["--format", "vtt"], "name their folder with --out"),
        (["--export", "x", "--json"], "--json is of what is printed"),
        (["--format", "csv", "--progressive"], "--progressive is of what is printed"),
    ],
)
def test_options_that_contradict_are_refused(ask: Ask, words: list[str], said: str) -> None:
    result = ask(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_an_excerpt_has_at_least_a_frame_and_none_behind_the_end() -> None:
    from spr_gateway.exports.timecode import Counting

    seen = film("a.mp4", Counting(Fraction(25)), hours=1)
    assert shown(seen, 5, 5).frames == 1
    assert shown(seen, seen.frames + 10, seen.frames + 20).end == seen.frames
