"""A second ingest: what is skipped, ingested anew, and kept."""

import os
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from engine.errors import InvalidInput, Mismatch
from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.levels import OPTIONS, Levels, run, store
from trainer.library.jobs import Queue
from trainer.library.watching import Folders, Watching, left_out
from workers.feature_store.store import FeatureStore


def test_unchanged_files_are_skipped_without_reading_them(tmp_path: Path, videos: Path) -> None:
    run(tmp_path)
    journal = tmp_path / "c" / "features" / Levels.fingerprint / "journal.jsonl"
    before = journal.read_bytes()
    encoder = Levels()
    summary = run(tmp_path, encoder=encoder)
    assert (summary.ingested, summary.skipped, encoder.batches) == (0, 3, [])
    assert journal.read_bytes() == before


def test_a_touched_or_moved_file_is_skipped_by_its_content(tmp_path: Path, videos: Path) -> None:
    run(tmp_path)
    os.utime(videos / "long.mp4", (1, 1))
    (videos / "short.mkv").rename(videos / "sub" / "short.mkv")
    encoder = Levels()
    summary = run(tmp_path, encoder=encoder)
    assert (summary.ingested, summary.skipped, summary.gone, encoder.batches) == (0, 3, [], [])
    features = store(tmp_path)
    assert features.record("short").uri == (videos / "sub" / "short.mkv").as_uri()
    assert features.record("long").info["mtime_ns"] == 1_000_000_000


def test_changed_content_and_changed_subtitles_are_ingested_anew(tmp_path: Path, videos: Path) -> None:
    run(tmp_path)
    write_video(videos / "short.mkv", regular(3, 10))
    (videos / "long.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nchanged\n")
    summary = run(tmp_path)
    assert (summary.ingested, summary.skipped) == (2, 1)
    features = store(tmp_path)
    assert len(features.rows("short", "frames")) == 3
    assert features.rows("long", "subtitles")[:, 0].tolist() == [7, 0, 0, 0, 0, 0, 0, 0]
    (videos / "long.srt").unlink()
    assert run(tmp_path).ingested == 1
    assert not store(tmp_path).rows("long", "subtitles").any()


def test_a_file_that_stops_being_a_video_keeps_its_old_features(tmp_path: Path, videos: Path) -> None:
    run(tmp_path)
    (videos / "short.mkv").write_bytes(b"")
    summary = run(tmp_path)
    assert [failure.kind for failure in summary.failed] == ["empty"]
    assert "short" in store(tmp_path)


def test_files_that_are_gone_are_mentioned_and_kept(tmp_path: Path, videos: Path) -> None:
    run(tmp_path)
    (videos / "short.mkv").unlink()
    summary = run(tmp_path)
    assert (summary.gone, summary.failed) == (["short"], [])
    assert "short" in store(tmp_path)
    assert "1 video" in " ".join(summary.lines())


def test_another_rate_is_stored_as_such_and_never_mixed(tmp_path: Path, videos: Path) -> None:
    run(tmp_path, videos / "long.mp4", options=replace(OPTIONS, fps=Fraction(2)))
    assert len(store(tmp_path).rows("long", "frames")) == 15
    assert store(tmp_path).streams["frames"].step == 0.5
    with pytest.raises(Mismatch, match="use the settings it was made with"):
        run(tmp_path)
    with pytest.raises(InvalidInput, match="not between 1e-06 and 60"):
        run(tmp_path, options=replace(OPTIONS, fps=Fraction(0)))


def test_what_was_deleted_comes_back_with_a_word_and_is_left_out_where_folders_are_watched(
    tmp_path: Path, videos: Path
) -> None:
    run(tmp_path)
    files = sorted(videos.rglob("*.*"))
    assert left_out(tmp_path / "c", files) == []
    with FeatureStore.open(store(tmp_path).path, "a") as features:
        features.forget("long", deleted=True)
    assert left_out(tmp_path / "c", files) == [videos / "long.mp4"]
    assert _submitted(tmp_path / "c", videos) == {"lapse.mp4", "short.mkv"}
    os.utime(videos / "long.mp4", (1, 1))
    assert left_out(tmp_path / "c", [*files, videos / "gone.mp4"]) == []
    summary = run(tmp_path)
    assert (summary.ingested, summary.skipped) == (1, 2)
    [told] = [one for one in summary.warnings if "deleted" in one["warning"]]
    assert told["path"] == str(videos / "long.mp4")
    assert not [one for one in run(tmp_path).warnings if "deleted" in one["warning"]]


def _submitted(collection: Path, videos: Path) -> set[str]:
    """Return the names of what a service that watches the videos would add."""
    with closing(Queue(collection, "c", 100)) as queue:
        watching = Watching([str(videos)], queue, lambda: None)
        watching._folders = Folders([videos], quiet=0.0)
        watching.look()
        return {Path(path).name for task in queue.take(100) for path in task.work.add.paths}
