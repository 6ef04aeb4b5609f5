"""A video is its content: moved, renamed, copied, away, or another of the same name."""

import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.trainer.ingest.factories import regular, write_sound, write_video
from tests.trainer.ingest.levels import OPTIONS, Levels, run, store
from trainer.ingest.options import IngestOptions


def flat(path: Path, seconds: float) -> Path:
    return write_video(path, regular(seconds, 10))


def uris(root: Path) -> dict[str, str]:
    found = store(root)
    return {video: found.record(video).uri for video in found.ids()}


def test_a_renamed_file_is_the_same_video_under_its_new_name(tmp_path: Path) -> None:
    old, new = flat(tmp_path / "videos" / "u.mp4", 3), tmp_path / "videos" / "w.mp4"
    run(tmp_path)
    rows = np.array(store(tmp_path).rows("u", "frames"))
    old.rename(new)
    encoder = Levels()
    summary = run(tmp_path, encoder=encoder)
    assert (summary.ingested, summary.skipped, summary.gone, encoder.batches) == (0, 1, [], [])
    assert summary.moved == [{"before": "u", "now": "w"}]
    assert "renamed  u is now w" in summary.lines()
    assert uris(tmp_path) == {"w": new.as_uri()}
    np.testing.assert_array_equal(store(tmp_path).rows("w", "frames"), rows)


def test_a_renamed_folder_renames_the_ids_that_carry_it(tmp_path: Path) -> None:
    flat(tmp_path / "videos" / "a" / "x.mp4", 2)
    flat(tmp_path / "videos" / "b" / "x.mp4", 3)
    flat(tmp_path / "videos" / "b" / "y.mp4", 4)
    run(tmp_path)
    assert list(uris(tmp_path)) == ["a/x", "b/x", "y"]
    (tmp_path / "videos" / "b").rename(tmp_path / "videos" / "renamed")
    encoder = Levels()
    summary = run(tmp_path, encoder=encoder)
    assert (encoder.batches, summary.skipped, summary.unseen) == ([], 3, [])
    assert list(uris(tmp_path)) == ["a/x", "renamed/x", "y"]
    assert uris(tmp_path)["y"] == (tmp_path / "videos" / "renamed" / "y.mp4").as_uri()


def test_a_renamed_file_with_other_subtitles_keeps_one_entry(tmp_path: Path) -> None:
    old = flat(tmp_path / "videos" / "u.mp4", 3)
    run(tmp_path)
    old.rename(old.with_name("w.mp4"))
    old.with_name("w.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nnew\n")
    summary = run(tmp_path)
    assert (summary.ingested, summary.moved) == (1, [{"before": "u", "now": "w"}])
    assert list(uris(tmp_path)) == ["w"]
    assert store(tmp_path).rows("w", "subtitles").any()


def test_a_copy_is_told_and_two_copies_of_a_moved_file_are_one_move(tmp_path: Path) -> None:
    old = flat(tmp_path / "videos" / "u.mp4", 3)
    run(tmp_path)
    shutil.copy(old, old.with_name("v.mp4"))
    summary = run(tmp_path)
    (warning,) = summary.warnings
    assert warning == {
        "path": str(old.with_name("v.mp4")),
        "warning": "it has the same content as u; each is kept",
    }
    assert list(uris(tmp_path)) == ["u", "v"]
    old.with_name("v.mp4").rename(old.with_name("x.mp4"))
    shutil.copy(old, old.with_name("y.mp4"))
    summary = run(tmp_path)
    assert len(summary.moved) == 1
    assert summary.ingested == 1
    assert list(uris(tmp_path)) == ["u", "x", "y"]


def test_a_name_that_another_content_once_had_is_not_taken(tmp_path: Path) -> None:
    """The drive `a` is unplugged; another camera's file of the same name comes from `b`."""
    one = flat(tmp_path / "a" / "GX010001.MP4", 2)
    two = flat(tmp_path / "b" / "GX010001.MP4", 3)
    run(tmp_path, tmp_path / "a")
    (tmp_path / "a").rename(tmp_path / "unplugged")
    summary = run(tmp_path, tmp_path / "b")
    assert (summary.ingested, summary.failed) == (1, [])
    assert uris(tmp_path) == {"GX010001": one.as_uri(), "b/GX010001": two.as_uri()}
    assert [len(store(tmp_path).rows(video, "frames")) for video in uris(tmp_path)] == [2, 3]
    (tmp_path / "unplugged").rename(tmp_path / "a")
    assert run(tmp_path, tmp_path / "a", tmp_path / "b").skipped == 2


def test_an_explicit_word_frees_an_id(tmp_path: Path) -> None:
    old = flat(tmp_path / "videos" / "x.mp4", 2)
    run(tmp_path)
    old.unlink()
    new = flat(tmp_path / "videos" / "new" / "x.mp4", 3)
    summary = run(tmp_path, options=replace(OPTIONS, forget=("x",)))
    assert (summary.ingested, summary.gone) == (1, [])
    assert uris(tmp_path) == {"x": new.as_uri()}


def test_an_old_name_is_dropped_where_its_content_has_another(tmp_path: Path) -> None:
    """As collections have it in which a renamed file was encoded again."""
    old = flat(tmp_path / "videos" / "u.mp4", 2)
    shutil.copy(old, old.with_name("w.mp4"))
    run(tmp_path)
    old.unlink()
    summary = run(tmp_path)
    assert (summary.gone, summary.moved) == ([], [{"before": "u", "now": "w"}])
    assert list(uris(tmp_path)) == ["w"]


def test_ids_are_claimed_by_what_is_a_video(tmp_path: Path) -> None:
    folder = tmp_path / "glob"
    movie = flat(folder / "movie.mp4", 2)
    (folder / "movie.jpg").write_bytes(b"no picture")
    (folder / "movie.zzz").write_bytes(random.Random(1).randbytes(5000))
    summary = run(tmp_path, *sorted(folder.iterdir()))
    assert uris(tmp_path) == {"movie": movie.as_uri()}
    assert [Path(failure.path).name for failure in summary.failed] == ["movie.jpg", "movie.zzz"]
    assert [failure.kind for failure in summary.failed] == ["not-a-video", "not-a-video"]
    again = run(tmp_path, *sorted(folder.iterdir()))
    assert (again.ingested, again.skipped) == (0, 1)
    assert list(uris(tmp_path)) == ["movie"]


def test_what_cannot_be_used_says_why_whoever_has_its_name(tmp_path: Path) -> None:
    folder = tmp_path / "videos"
    flat(folder / "a.mkv", 2)
    flat(folder / "a.mp4", 3)
    write_sound(folder / "a.mov")
    (folder / "a.avi").write_bytes(b"")
    failed = {Path(failure.path).name: failure.kind for failure in run(tmp_path).failed}
    assert failed == {"a.mov": "audio-only", "a.avi": "empty", "a.mp4": "id-clash"}


def test_a_folder_that_may_not_be_entered_stops_nothing(tmp_path: Path, plain_user: None) -> None:
    flat(tmp_path / "videos" / "locked" / "x.mp4", 2)
    run(tmp_path)
    locked = tmp_path / "videos" / "locked"
    locked.chmod(0)
    flat(tmp_path / "videos" / "y.mp4", 3)
    flat(tmp_path / "other" / "x.mp4", 1)
    summary = run(tmp_path)
    assert [(failure.path, failure.kind) for failure in summary.failed] == [(str(locked), "unreadable")]
    assert (summary.ingested, summary.gone, summary.unseen) == (1, [], ["x"])
    assert "1 video is out of sight" in " ".join(summary.lines())
    other = run(tmp_path, tmp_path / "other")
    assert (other.ingested, other.failed, other.unseen) == (1, [], [])
    locked.chmod(0o700)
    assert list(uris(tmp_path)) == ["other/x", "x", "y"]


def test_a_copy_of_what_is_only_out_of_sight_is_no_new_name_of_it(tmp_path: Path) -> None:
    drive = tmp_path / "videos" / "drive"
    old = flat(drive / "x.mp4", 2)
    twin = tmp_path / "videos" / "kept" / "y.mp4"
    twin.parent.mkdir()
    shutil.copy(old, twin)
    run(tmp_path)
    drive.rename(tmp_path / "unplugged")
    summary = run(tmp_path)
    assert (summary.moved, summary.unseen, summary.gone) == ([], ["x"], [])
    assert uris(tmp_path) == {"x": old.as_uri(), "y": twin.as_uri()}
    (tmp_path / "unplugged").rename(drive)
    assert run(tmp_path).skipped == 2


def test_a_new_copy_of_what_may_not_be_looked_at_is_no_new_name_of_it(
    tmp_path: Path, plain_user: None
) -> None:
    locked = tmp_path / "videos" / "locked"
    old = flat(locked / "x.mp4", 2)
    run(tmp_path)
    shutil.copy(old, tmp_path / "videos" / "y.mp4")
    locked.chmod(0)
    summary = run(tmp_path)
    assert (summary.ingested, summary.moved, summary.unseen) == (1, [], ["x"])
    locked.chmod(0o700)
    assert list(uris(tmp_path)) == ["x", "y"]
    assert run(tmp_path).skipped == 2


def test_damaged_rows_are_made_again_by_the_same_command(tmp_path: Path) -> None:
    flat(tmp_path / "videos" / "a.mp4", 2)
    flat(tmp_path / "videos" / "b.mp4", 3)
    run(tmp_path)
    rows = np.array(store(tmp_path).rows("b", "frames"))
    bin_file = store(tmp_path).path / "frames.bin"
    content = bytearray(bin_file.read_bytes())
    content[-3] ^= 4
    bin_file.write_bytes(content)
    summary = run(tmp_path)
    assert (summary.ingested, summary.skipped) == (1, 1)
    assert "its rows were damaged" in summary.warnings[0]["warning"]
    np.testing.assert_array_equal(store(tmp_path).rows("b", "frames"), rows)


def test_a_mended_journal_is_told(tmp_path: Path) -> None:
    flat(tmp_path / "videos" / "a.mp4", 2)
    flat(tmp_path / "videos" / "b.mp4", 3)
    run(tmp_path)
    journal = store(tmp_path).path / "journal.jsonl"
    os.truncate(journal, journal.stat().st_size // 2)
    summary = run(tmp_path)
    assert summary.skipped == 2
    assert "journal.jsonl has lost 1 of 2 lines; nothing is lost" in summary.lines()[0]
    assert run(tmp_path).notes == []


@pytest.mark.parametrize("name", ["two\nlines", "esc\x1b[31mred", "Cooking pasta [dQw4w9WgXcQ]"])
def test_lines_about_odd_names_are_one_line_each(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "videos"
    flat(folder / f"{name}.mp4", 1)
    flat(folder / f"{name} 2.mp4", 1)
    (folder / f"{name} bad.mp4").touch()
    (folder / f"{name} 3.mp4.part").touch()
    summary = run(tmp_path, options=IngestOptions(edge=32))
    lines = summary.lines()
    assert [line.split()[0] for line in lines] == ["failed", "warning", "left", "2"]
    assert all(line.isprintable() for line in lines)
    assert "[31mred" in lines[0] or "lines" in lines[0] or "[dQw4w9WgXcQ]" in lines[0]


def test_files_that_change_names_among_themselves_are_no_copies(tmp_path: Path) -> None:
    a, b = flat(tmp_path / "videos" / "a.mp4", 2), flat(tmp_path / "videos" / "b.mp4", 3)
    run(tmp_path)
    a.rename(a.with_name("t"))
    b.rename(a)
    a.with_name("t").rename(b)
    assert run(tmp_path).warnings == []
    assert [store(tmp_path).record(video).duration for video in "ab"] == [3, 2]


def test_a_link_whose_target_is_away_is_not_gone(tmp_path: Path) -> None:
    there = flat(tmp_path / "drive" / "u.mp4", 2)
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "u.mp4").symlink_to(there)
    run(tmp_path)
    there.parent.rename(tmp_path / "unplugged")
    summary = run(tmp_path)
    assert (summary.gone, summary.unseen) == ([], ["u"])
