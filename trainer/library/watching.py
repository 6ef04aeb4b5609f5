"""Watched folders: videos that appear in them are added as soon as nobody writes them any more."""

import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import logs
from spr.v1.admin_service_pb2 import Job, SubmitJobRequest
from trainer.ingest import media, reader
from trainer.ingest.scan import find
from trainer.library.jobs import Queue
from workers.feature_store.format import VideoRecord
from workers.feature_store.recalling import deleted
from workers.feature_store.store import FeatureStore

_log = logging.getLogger("spr.library")
INTERVAL = 1.0  # seconds between two looks
QUIET = 2.0  # seconds for which a file has not changed, to be taken for complete
# Reasons of jobs that may fare better later, and seconds until they are tried again.
PASSING, AGAIN = ("DISK_FULL", "NO_MEMORY"), 30.0


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells a file's content from an earlier one's without reading it."""

    size: int
    changed: int
    inode: int


class Folders:
    """Folders that are looked at again and again. A file is told once, and again when it has changed."""

    def __init__(self, folders: Sequence[Path], quiet: float = QUIET) -> None:
        self._folders, self._quiet = list(folders), quiet
        self._seen: dict[Path, tuple[Stamp, float]] = {}
        self._told: dict[Path, Stamp] = {}

    def ready(self, now: float | None = None) -> dict[Path, Stamp]:
        """Return the files that are new or changed, and quiet. now: seconds of the monotonic clock."""
        now = time.monotonic() if now is None else now
        found: dict[Path, Stamp] = {}
        seen: dict[Path, tuple[Stamp, float]] = {}
        for file in find(folder for folder in self._folders if folder.is_dir()):
            try:
                status = os.stat(file.path)
            except OSError:
                continue
            stamp = Stamp(status.st_size, status.st_mtime_ns, status.st_ino)
            before, since = self._seen.get(file.path, (None, now))
            since = since if before == stamp else now
            seen[file.path] = (stamp, since)
            if stamp != self._told.get(file.path) and now - since >= self._quiet:
                found[file.path] = stamp
        self._seen = seen
        return found

    def told(self, files: dict[Path, Stamp]) -> None:
        """Note that files were taken: `ready` returns them again only when they change."""
        self._told.update(files)


def left_out(collection: Path, files: Collection[Path]) -> list[Path]:
    """Return those of the files whose videos were deleted and which have not changed since, sorted."""
    out: dict[str, VideoRecord] = {}
    for header in (collection / "features").glob("*/store.json") if files else ():
        with FeatureStore.open(header.parent) as store:
            out |= {record.uri: record for record in deleted(store)}
    return sorted(path for path in files if (uri := media.uri_of(path)) in out and _is_of(path, out[uri]))


def _is_of(path: Path, record: VideoRecord) -> bool:
    try:
        return reader.stamp(path).items() <= record.info.items()
    except OSError:
        return False


def request_of(path: Path, stamp: Stamp) -> SubmitJobRequest:
    """Return the job that adds a file as it is now; the same one after a restart."""
    text = f"{path}\0{stamp.size}\0{stamp.changed}\0{stamp.inode}"
    name = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    request = SubmitJobRequest(request_id=f"watch-{name}")
    request.add.paths.append(str(path))
    return request


class Watching:
    """Submits an add for every video that appears in folders, to the queue of one collection."""

    def __init__(self, folders: Sequence[str], queue: Queue, on_submit: Callable[[], None]) -> None:
        self._folders = Folders([Path(folder).resolve() for folder in folders])
        self._queue, self._on_submit = queue, on_submit
        self._stop = threading.Event()
        self._any = bool(folders)
        # Files whose jobs have not ended for good, and when these are looked at.
        self._open: dict[Path, Stamp] = {}
        self._next = 0.0

    def start(self) -> None:
        """Begin to look, in a thread of its own."""
        if self._any:
            threading.Thread(target=self._run, name="watch-folders", daemon=True).start()

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()

    def look(self) -> None:
        """Submit what is ready now and was not deleted, and again what found no room.

        What the queue does not take is submitted later.
        """
        ready = self._folders.ready()
        for path in left_out(self._queue.collection, ready):
            self._folders.told({path: ready.pop(path)})
            _log.info("left out %s: it was deleted; `spr admin add` brings it back", media.shown(path))
        if self._open and time.monotonic() >= self._next and not self._queue.waiting():
            ready = self._open | ready
            self._next = time.monotonic() + AGAIN
        for path, stamp in ready.items():
            job = self._queue.submit(request_of(path, stamp), PASSING)
            self._folders.told({path: stamp})
            self._open[path] = stamp
            if job.state == Job.STATE_DONE or (job.state == Job.STATE_FAILED and job.reason not in PASSING):
                del self._open[path]
            self._on_submit()

    def _run(self) -> None:
        waiting = logs.Waiting(_log)
        while not self._stop.wait(INTERVAL):
            try:
                self.look()
            except Exception as error:
                waiting.tell("a watched folder waits", error)
