"""The thread that works the queues off, on a full disk and without memory."""

import threading
from errno import ENOSPC
from pathlib import Path
from typing import Any

import pytest

from engine.errors import SprError
from spr.v1.admin_service_pb2 import AddVideos, DeleteVideos, Snapshot, SubmitJobRequest
from tests.engine.running import written
from tests.trainer.library.tiny import write_part, write_version
from trainer.library import worker as worker_module
from trainer.library.jobs import Queue
from trainer.library.kits import Kits
from trainer.library.roots import Roots
from trainer.library.tasks import Outcome, Task
from trainer.library.work import Work
from trainer.library.worker import Worker


class _Work:
    """Counts the jobs that are done."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def warm(self, collection: Path) -> None:
        raise MemoryError("no model can be loaded now")

    def do(self, collection: Path, tasks: Any, tell: Any) -> list[Outcome]:
        self.done += [task.id for task in tasks]
        return [Outcome("done")] * len(tasks)

    def tidy(self, collection: Path, on_progress: Any) -> None: ...

    def collect(self, collection: Path) -> bool:
        return False


def test_a_job_whose_end_cannot_be_noted_ends_when_there_is_room(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, work = Queue(memory, "c", 100), _Work()
    worker = Worker({memory: queue}, lambda: work)  # type: ignore[arg-type, return-value]
    worker._work = work  # type: ignore[assignment]
    queue.submit(SubmitJobRequest(request_id="one", delete=DeleteVideos(video_ids=["a"])))
    queue.submit(SubmitJobRequest(request_id="two", delete=DeleteVideos(video_ids=["b"])))
    real = queue.end

    def full(*_: object) -> None:
        raise SprError("jobs.sqlite cannot be written: make room.", "DISK_FULL")

    monkeypatch.setattr(queue, "end", full)
    for _ in range(3):
        with pytest.raises(SprError):
            worker._job()
    assert work.done == ["one"]
    monkeypatch.setattr(queue, "end", real)
    while worker._job():
        pass
    assert work.done == ["one", "two"]
    assert {job.request_id: job.detail for job in queue.jobs()} == {"one": "done", "two": "done"}
    queue.close()


def test_a_job_without_memory_says_so(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object) -> list[Outcome]:
        raise MemoryError

    queue, work = Queue(memory, "c", 100), _Work()
    monkeypatch.setattr(work, "do", short)
    worker = Worker({memory: queue}, lambda: work)  # type: ignore[arg-type, return-value]
    worker._work = work  # type: ignore[assignment]
    queue.submit(SubmitJobRequest(delete=DeleteVideos(video_ids=["a"])))
    assert worker._job()
    [job] = queue.jobs()
    assert (job.reason, "can have no more memory" in job.error) == ("NO_MEMORY", True)
    queue.close()


def test_adds_that_fail_together_are_done_one_by_one(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(collection: Path, tasks: list[Task], tell: Any) -> list[Outcome]:
        if any("bad" in task.id for task in tasks):
            raise ValueError("what nobody has thought of")
        return real(collection, tasks, tell)

    queue, work = Queue(memory, "c", 100), _Work()
    real = work.do
    monkeypatch.setattr(work, "do", bad)
    worker = Worker({memory: queue}, lambda: work)  # type: ignore[arg-type, return-value]
    worker._work = work  # type: ignore[assignment]
    for name in ("one", "bad", "two"):
        queue.submit(SubmitJobRequest(request_id=name, add=AddVideos(paths=[f"/{name}.mp4"])))
    for _ in range(5):  # together, each alone, and one more
        worker._job()
    assert work.done == ["one", "two"]
    assert {job.request_id: job.reason for job in queue.jobs()} == {"one": "", "bad": "INTERNAL", "two": ""}
    queue.close()


def test_adds_that_failed_together_wait_again_when_there_is_room_to_note_it(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise SprError("jobs.sqlite cannot be written: make room.", "DISK_FULL")

    def failing(collection: Path, tasks: list[Task], tell: Any) -> list[Outcome]:
        if len(tasks) > 1:
            full()
        return real(collection, tasks, tell)

    queue, work = Queue(memory, "c", 100), _Work()
    real, put_back = work.do, queue.put_back
    monkeypatch.setattr(work, "do", failing)
    monkeypatch.setattr(queue, "put_back", full)
    worker = Worker({memory: queue}, lambda: work)  # type: ignore[arg-type, return-value]
    worker._work = work  # type: ignore[assignment]
    for name in ("one", "two"):
        queue.submit(SubmitJobRequest(request_id=name, add=AddVideos(paths=[f"/{name}.mp4"])))
    for _ in range(3):
        with pytest.raises(SprError):
            worker._job()
    monkeypatch.setattr(queue, "put_back", put_back)
    while worker._job():
        pass
    assert work.done == ["one", "two"]
    queue.close()


def test_a_job_that_does_not_heed_a_stop_has_killed_nobody(memory: Path) -> None:
    begun, over = threading.Event(), threading.Event()

    class Deaf(_Work):
        def warm(self, collection: Path) -> None: ...

        def do(self, collection: Path, tasks: Any, tell: Any) -> list[Outcome]:
            begun.set()
            over.wait(60)
            return super().do(collection, tasks, tell)

    queue = Queue(memory, "c", 100)
    queue.submit(SubmitJobRequest(request_id="one", delete=DeleteVideos(video_ids=["a"])))
    worker = Worker({memory: queue}, Deaf)  # type: ignore[arg-type]
    worker.start()
    assert begun.wait(60)
    assert not worker.stop(0.0)
    assert queue.recover() == (0, [])
    over.set()
    assert worker.stop(60)
    queue.close()


def test_what_keeps_it_from_tidying_up_is_told_once(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(ENOSPC, "no room")

    write_version(memory, [write_part(memory, ["a"])])
    work = Work(Kits("cpu"), 10, Roots(None))
    monkeypatch.setattr(worker_module, "CALM", 0.0)
    monkeypatch.setattr(work, "tidy", full)
    # As while another process holds a version of before a purge.
    monkeypatch.setattr("trainer.library.work.is_purging", lambda _: True)
    monkeypatch.setattr("trainer.library.work.collect_garbage", full)
    queue = Queue(memory, "c", 100)
    worker = Worker({memory: queue}, lambda: work)
    worker._work = work
    with written("spr.library") as lines:
        for _ in range(5):
            worker._tidy()
    queue.close()
    told = [lines.get_nowait()["message"] for _ in range(lines.qsize())]
    assert [line.replace(str(memory), "C") for line in told] == [
        "C cannot be compacted: [Errno 28] no room",
        "old versions of C cannot be removed: [Errno 28] no room",
    ]


def test_it_begins_when_it_can_and_does_what_needs_no_model(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "AGAIN", 0.001)
    queue, work, tries = Queue(memory, "c", 100), _Work(), list[int]()
    queue.submit(SubmitJobRequest(request_id="one", delete=DeleteVideos(video_ids=["a"])))

    def opened() -> _Work:
        tries.append(1)
        if len(tries) < 3:
            raise MemoryError
        return work

    worker = Worker({memory: queue}, opened)  # type: ignore[arg-type]
    ended = threading.Event()
    end = queue.end

    def noted(task: Task, outcome: Outcome) -> None:
        end(task, outcome)
        ended.set()

    monkeypatch.setattr(queue, "end", noted)
    worker.start()
    assert ended.wait(60)
    assert worker.stop(60)
    assert (work.done, len(tries)) == (["one"], 3)
    queue.close()


@pytest.mark.parametrize("work", [{"delete": DeleteVideos(video_ids=["a"])}, {"snapshot": Snapshot()}])
def test_a_job_waits_while_its_collection_is_away(
    memory: Path, monkeypatch: pytest.MonkeyPatch, work: dict[str, Any]
) -> None:
    for pause in ("AGAIN", "CALM"):
        monkeypatch.setattr(worker_module, pause, 0.0)
    home = memory / "c"
    home.mkdir()
    queue, doing = Queue(home, "c", 100), _Work()
    worker = Worker({home: queue}, lambda: doing)  # type: ignore[arg-type, return-value]
    worker._work = doing  # type: ignore[assignment]
    queue.submit(SubmitJobRequest(request_id="one", **work))
    home.rename(memory / "away")
    assert not worker._job()
    assert not worker._tidy()
    assert not worker._tidy()
    assert "disk is away" in next(iter(queue.jobs())).detail
    # It can be moved back: nothing lies in the way.
    (memory / "away").rename(home)
    assert worker._job()
    assert doing.done == ["one"]
    queue.close()
