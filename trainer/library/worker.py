"""The thread that works the jobs of all collections off, one after another, and tidies up between them."""

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import NotFound, SprError
from engine.files import of_disk
from trainer.library.jobs import Queue
from trainer.library.tasks import Outcome, Task

if TYPE_CHECKING:
    from trainer.library.work import Work

_log = logging.getLogger("spr.library")
# Adds that are done together: one ingest, one version.
TOGETHER = 64
AGAIN = 1.0  # seconds until a job is tried again that another process stood in the way of
CALM = 2.0  # seconds without a job before parts are merged: a version more is work for all workers
# Another process has what a job needs for a while.
_IN_THE_WAY = ("STORE_LOCKED",)


class Stopped(Exception):
    """The process is to end; the job in hand is done again by the next one."""


class Worker:
    """Works off the queues, oldest job first. queues: by collection.

    open_work: called once, in the thread: what does the jobs takes seconds to load.
    """

    def __init__(self, queues: Mapping[Path, Queue], open_work: "Callable[[], Work]") -> None:
        self._queues, self._open_work = dict(queues), open_work
        self._untidy = set(self._queues)
        self._calm_from = 0.0
        self._ended: list[tuple[Queue, Task, Outcome]] = []
        self._stop, self._wake = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="library", daemon=True)

    def start(self) -> None:
        """Let the jobs of a process that died wait again, and begin."""
        for collection, queue in self._queues.items():
            if count := queue.recover():
                _log.info("%d jobs of %s run again", count, collection)
        self._thread.start()

    def wake(self) -> None:
        """Look for jobs now."""
        self._wake.set()

    def stop(self, patience: float) -> bool:
        """End; the job in hand waits again. Returns whether the thread ended within so many seconds."""
        self._stop.set()
        self._wake.set()
        self._thread.join(patience)
        return not self._thread.is_alive()

    def _run(self) -> None:
        self._work = self._open_work()
        for collection in self._queues:
            self._work.warm(collection)
        while not self._stop.is_set():
            self._wake.clear()
            try:
                busy = self._job() or self._tidy()
            except (SprError, OSError) as error:
                _log.error("jobs wait: %s", error)
                busy = False
            except Exception:
                _log.exception("the library failed; it goes on")
                busy = False
            if not busy:
                self._wake.wait(AGAIN)

    def _job(self) -> bool:
        """Do the oldest job; False where none waits, or none can be done now."""
        self._note_ends()
        waiting = [(since, queue) for queue in self._queues.values() if (since := queue.oldest()) is not None]
        if not waiting:
            return False
        _, queue = min(waiting, key=lambda one: one[0])
        tasks = queue.take(TOGETHER)
        try:
            outcomes = self._work.do(queue.collection, tasks, lambda words: self._tell(queue, tasks, words))
        except Stopped:
            self._put_back(queue, tasks, "")
            return False
        except Exception as error:
            if isinstance(error, SprError) and error.reason in _IN_THE_WAY:
                self._put_back(queue, tasks, f"waits: {error}")
                return False
            outcomes = [_failed(error)] * len(tasks)
        self._ended += [(queue, task, outcome) for task, outcome in zip(tasks, outcomes, strict=True)]
        self._untidy.add(queue.collection)
        self._calm_from = time.monotonic() + CALM
        self._note_ends()
        return True

    def _note_ends(self) -> None:
        """Note how jobs ended; those that a full disk does not let be noted are noted later."""
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

    def _put_back(self, queue: Queue, tasks: list[Task], why: str) -> None:
        for task in tasks:
            queue.put_back(task)
            queue.tell(task, why)

    def _tidy(self) -> bool:
        """Merge parts of one shard, if that is worth it; after the last merge remove what nothing needs."""
        if time.monotonic() < self._calm_from:
            return False
        for collection in sorted(self._untidy):
            try:
                change = self._work.tidy(collection, self._watch)
            except Stopped:
                return False
            except NotFound:  # nothing is built yet
                change = None
            except (SprError, OSError) as error:
                _log.error("%s cannot be compacted: %s", collection, error)
                change = None
            if change is not None:
                _log.info("compacted", extra={"version": change.version, "parts": change.parts})
                return True
            if not self._work.collect(collection):
                self._untidy.discard(collection)
        return False

    def _watch(self, stage: str, done: int, total: int) -> None:
        if self._stop.is_set():
            raise Stopped


def _failed(error: Exception) -> Outcome:
    refused = of_disk(error) if isinstance(error, OSError) else error
    if isinstance(refused, SprError):
        return Outcome(error=str(refused), reason=refused.reason)
    _log.error("a job failed", exc_info=error)
    return Outcome(error="internal error; the library's log has it.", reason="INTERNAL")
