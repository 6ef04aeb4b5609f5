"""The queue: durable, idempotent by request id, bounded, and it recovers."""

import sqlite3
from pathlib import Path

import pytest

from engine import metrics
from engine.errors import InvalidInput, Mismatch, Overloaded
from spr.v1.admin_service_pb2 import Job, SubmitJobRequest
from trainer.library import jobs
from trainer.library.jobs import FILE, Queue
from trainer.library.process import by_name
from trainer.library.tasks import FAILED, Outcome


def adding(name: str, *paths: str) -> SubmitJobRequest:
    request = SubmitJobRequest(request_id=name)
    request.add.paths.extend(paths or ("/v.mp4",))
    return request


def deleting(name: str) -> SubmitJobRequest:
    request = SubmitJobRequest(request_id=name)
    request.delete.video_ids.append("v")
    return request


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path, "c", 5)


def states(queue: Queue) -> dict[str, int]:
    return {job.request_id: job.state for job in queue.jobs()}


def test_two_collections_of_one_name_have_no_queue(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = tmp_path / "one", tmp_path / "two"
    queues = {one: Queue(one, "c", 5), two: Queue(two, "d", 5)}
    assert by_name(queues) == {"c": queues[one], "d": queues[two]}
    with pytest.raises(InvalidInput, match=f"named 'c', {one} and {two}; give one of them another name"):
        by_name({one: queues[one], two: Queue(two, "c", 5)})


def test_a_job_is_there_after_a_restart(queue: Queue, tmp_path: Path) -> None:
    told = queue.submit(adding("a", "/one.mp4"))
    assert (told.state, told.kind, told.collection) == (Job.STATE_QUEUED, "add", "c")
    assert told.create_time.seconds > 0
    again = Queue(tmp_path, "c", 5)
    assert again.jobs() == [told]
    (task,) = again.take(1)
    assert list(task.work.add.paths) == ["/one.mp4"]
    assert not task.again


def test_states_and_the_oldest_are_counted(queue: Queue) -> None:
    assert queue.oldest() == 0
    for name in "abc":
        queue.submit(deleting(name))
    (task,) = queue.take(1)
    queue.end(task, Outcome(error="it failed"))
    queue.take(1)
    assert queue.counts() == {"queued": 1, "running": 1, "done": 0, "failed": 1}
    assert 0 < queue.oldest() < 3600


def test_the_same_request_id_is_the_same_job(queue: Queue) -> None:
    queue.submit(adding("a"))
    queue.submit(adding("a"))
    assert len(queue.jobs()) == 1
    (task,) = queue.take(10)
    queue.end(task, Outcome(version="v1"))
    assert queue.submit(adding("a")).version == "v1"
    assert queue.take(10) == []
    with pytest.raises(InvalidInput, match="another job"):
        queue.submit(adding("a", "/other.mp4"))
    with pytest.raises(InvalidInput, match="another job"):
        queue.submit(deleting("a"))


def test_a_job_without_an_id_gets_one(queue: Queue) -> None:
    names = {queue.submit(adding("")).request_id for _ in range(2)}
    assert len(names) == 2


@pytest.mark.parametrize("name", ["ü", "a\nb", "x" * 65])
def test_a_strange_request_id_is_refused(queue: Queue, name: str) -> None:
    with pytest.raises(InvalidInput, match="printable ASCII"):
        queue.submit(adding(name))


def test_a_full_queue_refuses_more_but_not_what_it_knows(queue: Queue) -> None:
    for number in range(5):
        queue.submit(adding(f"{number}"))
    with pytest.raises(Overloaded, match="5 jobs wait") as refused:
        queue.submit(adding("one more"))
    assert refused.value.reason == "QUEUE_FULL"
    queue.submit(adding("3"))
    queue.take(1)
    assert len(queue.jobs()) == 5


def test_adds_that_follow_each_other_are_taken_together(queue: Queue) -> None:
    for request in (adding("a"), adding("b"), deleting("c"), adding("d")):
        queue.submit(request)
    assert [[task.id for task in queue.take(10)] for _ in range(4)] == [["a", "b"], ["c"], ["d"], []]


def test_a_job_of_a_process_that_died_runs_again_at_its_place(queue: Queue, tmp_path: Path) -> None:
    queue.submit(deleting("a"))
    queue.submit(deleting("b"))
    queue.take(1)
    queue.close()
    again = Queue(tmp_path, "c", 5)
    assert again.recover() == (1, [])
    tasks = [*again.take(1), *again.take(1)]
    assert [(task.id, task.again) for task in tasks] == [("a", True), ("b", False)]
    again.put_back(tasks[0])
    assert [task.id for task in again.take(1)] == ["a"]


def test_what_a_process_died_at_is_done_alone_and_fails_in_the_end(queue: Queue, tmp_path: Path) -> None:
    for name in "abc":
        queue.submit(adding(name, f"/{name}.mp4"))
    assert len(queue.take(64)) == 3
    queue.close()
    again = Queue(tmp_path, "c", 5)
    assert again.recover() == (3, [])
    again.submit(adding("later"))
    for _ in range(jobs.DEATHS - 2):
        # Which of them it was shows now: the others do not die with it.
        assert [task.id for task in again.take(64)] == ["a"]
        assert again.recover() == (1, [])
    assert [task.id for task in again.take(64)] == ["a"]
    counted = metrics.bound(metrics.JOBS_ENDED, "c", "add", FAILED)
    before = counted._value.get()
    assert again.recover() == (0, ["a"])
    assert counted._value.get() == before + 1
    (told,) = again.jobs("a")
    assert (told.state, told.reason) == (Job.STATE_FAILED, "LIBRARY_DIED")
    assert told.end_time.seconds >= told.create_time.seconds
    assert "died 5 times while it did this job" in told.error
    for name in ("b", "c", "later"):
        (task,) = again.take(64)
        assert task.id == name
        again.end(task, Outcome("added"))
    assert states(again) == {"a": Job.STATE_FAILED} | dict.fromkeys(("b", "c", "later"), Job.STATE_DONE)


def test_what_is_stopped_or_waits_for_others_has_killed_nobody(queue: Queue) -> None:
    for name in "ab":
        queue.submit(adding(name))
    for _ in range(2 * jobs.DEATHS):
        for task in queue.take(64):
            queue.put_back(task)
        assert queue.recover() == (0, [])
    assert [task.id for task in queue.take(64)] == ["a", "b"]


def test_an_outcome_is_told(queue: Queue) -> None:
    queue.submit(adding("a"))
    (task,) = queue.take(1)
    queue.tell(task, "encoding v.mp4, 40 %")
    (told,) = queue.jobs("a")
    assert (told.state, told.detail) == (Job.STATE_RUNNING, "encoding v.mp4, 40 %")
    queue.end(task, Outcome("added", "v7", ["v"], ["w.mp4: no video"]))
    (told,) = queue.jobs("a")
    assert (told.state, told.detail, told.version) == (Job.STATE_DONE, "added", "v7")
    assert (list(told.video_ids), list(told.warnings)) == (["v"], ["w.mp4: no video"])
    assert told.end_time.seconds >= told.create_time.seconds
    queue.submit(deleting("b"))
    queue.end(queue.take(1)[0], Outcome(error="no", reason="NOT_FOUND"))
    (told,) = queue.jobs("b")
    assert (told.state, told.error, told.reason) == (Job.STATE_FAILED, "no", "NOT_FOUND")
    assert queue.jobs("unknown") == []


def test_the_oldest_that_ended_are_forgotten(queue: Queue, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "KEPT", 2)
    for name in ("a", "b", "c"):
        queue.submit(deleting(name))
        queue.end(queue.take(1)[0], Outcome())
    queue.submit(deleting("d"))
    assert set(states(queue)) == {"b", "c", "d"}
    assert len(queue.jobs(limit=2)) == 2


def test_a_file_that_is_no_queue_is_refused_by_its_name(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no database, certainly" * 1000)
    with pytest.raises(Mismatch, match=FILE):
        Queue(tmp_path, "c", 5)


def test_what_is_acknowledged_is_synced(queue: Queue, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE) as other:
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)
    with queue._database.reading() as own:
        assert own.execute("pragma synchronous").fetchone()[0] == 2
