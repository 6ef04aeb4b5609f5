"""Watched folders: a file is told once, when it is complete."""

import os
import time
from contextlib import closing
from pathlib import Path

import pytest

from spr.v1.admin_service_pb2 import DeleteVideos, SubmitJobRequest
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


@pytest.mark.parametrize(("reason", "tries"), [("DISK_FULL", 3), ("NO_MEMORY", 3), ("BAD_VIDEO", 1), ("", 1)])
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
                    # Or it would be begun again while it runs.
                    assert not queue.jobs(task.id)[0].reason
                    queue.end(task, Outcome(error="no room" if reason else "", reason=reason))
    assert tried == tries


def test_what_found_no_room_is_tried_once_in_a_while_and_after_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "videos").mkdir()
    write_video(tmp_path / "videos" / "a.mp4", regular(1, 5))
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with closing(Queue(tmp_path, "c", 100)) as queue:
        watcher = Watching([str(tmp_path / "videos")], queue, lambda: None)
        watcher._folders = Folders([tmp_path / "videos"], quiet=0.0)

        def tried() -> list[str]:
            watcher.look()
            tasks = queue.take(10)
            for task in tasks:
                queue.end(task, Outcome(error="no room", reason="DISK_FULL"))
            return [task.kind for task in tasks]

        assert [tried() for _ in range(4)] == [["add"], ["add"], [], []]
        now += watching.AGAIN
        queue.submit(SubmitJobRequest(request_id="other", delete=DeleteVideos(video_ids=["b"])))
        assert [tried() for _ in range(3)] == [["delete"], ["add"], []]


def test_an_error_that_nobody_thought_of_does_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "INTERVAL", 0.0)
    with closing(Queue(tmp_path, "c", 100)) as queue:
        watcher = Watching([], queue, lambda: None)
        looks: list[int] = []

        def look() -> None:
            looks.append(1)
            if len(looks) == 1:
                raise ValueError("nobody thought of this")
            watcher.stop()

        monkeypatch.setattr(watcher, "look", look)
        watcher._run()
    assert len(looks) == 2
