"""The thread that works the jobs of all collections off, one after another, and tidies up between them."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine import logs, versions
from engine.errors import NotFound, SprError, Unavailable
from engine.files import refusal_of
from engine.version_lock import check_there, only_writer
from trainer.library.jobs import Queue
from trainer.library.tasks import IN_THE_WAY, Outcome, Task

if TYPE_CHECKING:
    from trainer.library.work import Work

_log = logging.getLogger("spr.library")
# Adds that are done together: one ingest, one version.
TOGETHER = 64
AGAIN = 1.0  # seconds until a job is tried again that another process stood in the way of
CALM = 2.0  # seconds without a change before parts are merged: a version more is work for all workers
# Seconds of work after which the writer's lock is left to others who wait for it, and for how long.
TURN, BREATH = 1.0, 0.2
_READING = ("snapshot", "verify")


class Stopped(Exception):
    """The process is to end; the job in hand is done again by the next one."""


class Worker:
    """Works off the queues, oldest job first. queues: by collection.

    open_work: called in the thread, until it succeeds: what does the jobs takes seconds to load.
    """

    def __init__(self, queues: Mapping[Path, Queue], open_work: "Callable[[], Work]") -> None:
        self._queues, self._open_work = dict(queues), open_work
        # By collection: until when its jobs wait for others; its version and since when; which one is tidy.
        self._blocked = dict.fromkeys(self._queues, 0.0)
        self._seen: dict[Path, tuple[str, float]] = {}
        self._tidy_at: dict[Path, str] = {}
        self._untidy = {collection: logs.Waiting(_log) for collection in self._queues}
        self._ended: list[tuple[Queue, Task, Outcome]] = []
        self._back: list[tuple[Queue, Task, bool]] = []
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="library", daemon=True)

    def start(self) -> None:
        """Let the jobs of a process that died wait again, and begin."""
        for collection, queue in self._queues.items():
            count, deadly = queue.recover()
            if count:
                _log.info("%d jobs of %s run again", count, collection)
            for name in deadly:
                _log.error("job %s of %s failed: the library died at it again and again", name, collection)
        self._thread.start()

    def wake(self) -> None:
        """Look for jobs now."""
        self._wake.set()

    def stop(self, patience: float) -> bool:
        """End; the job in hand waits again. Returns whether the thread ended within so many seconds."""
        self._stop.set()
        self._wake.set()
        self._thread.join(patience)
        if self._thread.is_alive():
            for queue in self._queues.values():
                with contextlib.suppress(SprError):  # on a full disk it counts as a death
                    queue.let_go()
        return not self._thread.is_alive()

    def _run(self) -> None:
        opened, turn, waiting = False, time.monotonic() + TURN, logs.Waiting(_log)
        while not self._stop.is_set():
            self._wake.clear()
            try:
                if not opened:
                    self._work, opened = self._open_work(), True
                    for collection in self._queues:
                        self._work.warm(collection)
                busy = self._job() or self._tidy()
            except Exception as error:
                waiting.tell("jobs wait", error)
                busy = False
            if not busy:
                self._wake.wait(AGAIN)
            elif time.monotonic() >= turn:
                self._stop.wait(BREATH)
                turn = time.monotonic() + TURN

    def _job(self) -> bool:
        """Do the oldest job that can be done now; False where there is none."""
        self._note_ends()
        waiting = [(first, queue) for queue in self._queues.values() if (first := queue.first()) is not None]
        for first, queue in sorted(waiting, key=lambda one: one[0]):
            if time.monotonic() < self._blocked[queue.collection]:
                continue
            try:
                with _writing(queue.collection, first.kind):
                    self._ended += self._do(queue)
            except SprError as error:
                if error.reason not in IN_THE_WAY:
                    raise
                queue.tell(first, f"waits: {error}")
                self._blocked[queue.collection] = time.monotonic() + AGAIN
            else:
                self._note_ends()
                return True
        return False

    def _do(self, queue: Queue) -> list[tuple[Queue, Task, Outcome]]:
        """Do the oldest job of a queue; return how it, and those done with it, ended.

        What another process stands in the way of waits again, and the SprError that says so is raised.
        """
        tasks = queue.take(TOGETHER)
        try:
            outcomes = self._work.do(queue.collection, tasks, lambda words: self._tell(queue, tasks, words))
        except Stopped:
            self._put_back(queue, tasks)
            return []
        except Exception as error:
            if isinstance(error, SprError) and error.reason in IN_THE_WAY:
                self._put_back(queue, tasks)
                raise
            if len(tasks) > 1:
                # What was too much for one of them is no fault of the others.
                _log.warning("%d adds failed together and are done one by one: %s", len(tasks), error)
                self._put_back(queue, tasks, alone=True)
                return []
            outcomes = [_failed(error)]
        return [(queue, task, outcome) for task, outcome in zip(tasks, outcomes, strict=True)]

    def _note_ends(self) -> None:
        """Note how jobs ended, and which wait again; later where a full disk does not let it."""
        while self._back:
            queue, task, alone = self._back[0]
            queue.put_back(task, alone)
            queue.tell(task, "")
            del self._back[0]
        while self._ended:
            queue, task, outcome = self._ended[0]
            queue.end(task, outcome)
            _log.info("%s %s: %s", task.kind, task.id, outcome.error or outcome.detail)
            del self._ended[0]

    def _tell(self, queue: Queue, tasks: list[Task], words: str) -> None:
        if self._stop.is_set():
            raise Stopped
        for task in tasks:
            queue.tell(task, words)

    def _put_back(self, queue: Queue, tasks: list[Task], alone: bool = False) -> None:
        self._back += [(queue, task, alone) for task in tasks]
        self._note_ends()

    def _tidy(self) -> bool:
        """Merge parts of one shard, if that is worth it; after the last merge remove what nothing needs."""
        for collection in self._queues:
            version = versions.newest(collection)
            seen, since = self._seen.get(collection, (None, 0.0))
            if version != seen:
                self._seen[collection] = version, time.monotonic()
            elif version != self._tidy_at.get(collection) and time.monotonic() >= since + CALM:
                with (
                    contextlib.suppress(Stopped, Unavailable, NotFound),
                    only_writer(collection, "compact", 0),
                ):
                    if self._merged(collection):
                        return True
                    if not self._work.collect(collection):
                        self._tidy_at[collection] = version
        return False

    def _merged(self, collection: Path) -> bool:
        """Do one merge, if that is worth it; whether it is done. The caller holds the writer's lock."""
        try:
            change = self._work.tidy(collection, self._watch)
        except NotFound:  # nothing is built yet
            return False
        except (SprError, OSError) as error:
            self._untidy[collection].tell(f"{collection} cannot be compacted", error)
            return False
        if change is None:
            return False
        # What is to follow on a merge follows at once.
        self._seen[collection] = change.version, 0.0
        _log.info("compacted", extra={"version": change.version, "parts": change.parts})
        return True

    def _watch(self, stage: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise Stopped


@contextlib.contextmanager
def _writing(collection: Path, kind: str) -> Iterator[None]:
    """Hold the writer's lock, unless a job of the kind only reads; Unavailable where another process does.

    NotFound where the collection is away.
    """
    check_there(collection)
    with contextlib.nullcontext() if kind in _READING else only_writer(collection, kind, 0):
        yield


def _failed(error: Exception) -> Outcome:
    if refused := refusal_of(error):
        return Outcome(error=str(refused), reason=refused.reason)
    _log.error("a job failed", exc_info=error)
    return Outcome(error="internal error; the library's log has it.", reason="INTERNAL")
