"""Watched folders: a file is told once, when it is complete."""

import os
from contextlib import closing
from pathlib import Path

import pytest

from tests.trainer.ingest.factories import regular, write_video
from trainer.library import watching
from trainer.library.jobs import Queue
from trainer.library.tasks import Outcome
from trainer.library.watching import Folders, Watching, request_of


def test_a_file_is_told_when_it_has_been_quiet_and_once(tmp_path: Path) -> None:
    folders = Folders([tmp_path, tmp_path / "not there"], quiet=2.0)
    path = write_video(tmp_path / "a.mp4", regular(1, 5))
    (tmp_path / "notes.txt").write_text("no video")
    assert folders.ready(10.0) == {}
    with path.open("ab") as file:
        file.write(b"more")
    assert folders.ready(12.0) == {}
    assert folders.ready(13.9) == {}
    found = folders.ready(14.0)
    assert list(found) == [path]
    assert list(folders.ready(14.5)) == [path], "what was not taken is told again"
    folders.told(found)
    assert folders.ready(20.0) == {}
    os.utime(path, (1, 1))
    assert folders.ready(21.0) == {}
    assert list(folders.ready(23.0)) == [path]


def test_a_file_is_the_same_job_after_a_restart_and_another_when_it_changed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", regular(1, 5))

    def job() -> str:
        folders = Folders([tmp_path], quiet=0.0)
        ((found, stamp),) = folders.ready(1.0).items()
        return request_of(found, stamp).request_id

    first = job()
    assert job() == first
    os.utime(path, (1, 1))
    assert job() != first


@pytest.mark.parametrize(("reason", "tries"), [("DISK_FULL", 3), ("BAD_VIDEO", 1), ("", 1)])
def test_what_found_no_room_is_tried_again_after_a_restart_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: str, tries: int
) -> None:
    monkeypatch.setattr(watching, "AGAIN", 0.0)
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "a.mp4", regular(1, 5))
    tried = 0
    with closing(Queue(tmp_path, "c", 100)) as queue:
        for looks in (2, 1):
            watcher = Watching([str(tmp_path / "videos")], queue, lambda: None)
            watcher._folders = Folders([tmp_path / "videos"], quiet=0.0)
            for _ in range(looks):
                watcher.look()
                for task in queue.take(10):
                    tried += 1
                    queue.end(task, Outcome(error="no room" if reason else "", reason=reason))
    assert tried == tries
