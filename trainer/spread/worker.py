"""A worker of an ingest: today's pipeline on the files that the driver gives it, one share of the store."""

import contextlib
import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.errors import Mismatch
from trainer.ingest.filling import Filling
from trainer.ingest.opening import features
from trainer.ingest.options import IngestOptions
from trainer.ingest.reader import Job
from trainer.ingest.scan import VideoFile
from trainer.ingest.summary import Summary
from trainer.screen.run import read_screens
from trainer.speech.run import Recogniser, transcribe_all
from trainer.spread.dealing import Given
from trainer.spread.report import Report, Telling
from workers.feature_store.locking import Locked
from workers.feature_store.shares import Share
from workers.feature_store.store import FeatureStore

if TYPE_CHECKING:
    # Where the class is only named, by the driver, torch is not loaded.
    from workers.ranker.encoder.encoder import Encoder

Begun = TypeVar("Begun")
# Files at hand for each one that is read.
AT_HAND = 8
# Seconds after which a worker tells what it did, if it wants no files before.
QUIET = 0.5
# Seconds that a dead worker's lock may last: its node must see that it died.
LOCKED = 60


@dataclass(frozen=True, slots=True)
class IngestTask:
    """What all workers of an ingest do. Paths are absolute, and the same on every node.

    encoder: a directory or a hub name. recogniser: of speech, None for none. screens: whether they are read.
    """

    collection: Path
    encoder: str
    fingerprint: str
    device: str
    precision: str
    options: IngestOptions
    recogniser: Recogniser | None = None
    screens: bool = False


def patiently(begin: Callable[[], Begun], seconds: float) -> Begun:
    """Begin what takes a lock, so many seconds after a dead worker still holds it; Locked then."""
    until = time.monotonic() + seconds
    while True:
        try:
            return begin()
        except Locked as locked:
            if (left := until - time.monotonic()) <= 0:
                raise
            locked.wait(left)


class IngestWorker:
    """Ingests in a thread of its own; the driver calls from another, and never waits for a video."""

    def __init__(self, task: IngestTask) -> None:
        self._task = task
        self._loaded: Encoder | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._telling = Telling(Summary("", "", ""))
        self._given: deque[Given] = deque()
        self._high = 0
        self._open = self._closing = False
        self._failed: BaseException | None = None

    def load(self) -> None:
        """Load the encoder while the driver still lists files; `begin` tells what is wrong with it."""
        with contextlib.suppress(Exception):
            self._encoder()

    def begin(self, share: Share, patient: bool = False) -> tuple[int, int]:
        """Open a share of the store; return the encoder's width and how many files are wanted.

        patient: wait for a dead writer's lock. Mismatch where the encoder's files are others on this node.
        """
        encoder = self._encoder()
        patiently(lambda: self._start(share), LOCKED if patient else 0)
        return encoder.dim, self._wanted()

    def _encoder(self) -> "Encoder":
        task = self._task
        if self._loaded is None:
            from workers.ranker.encoder.encoder import Encoder

            self._loaded = Encoder.load(task.encoder, task.device, task.precision)
        if self._loaded.fingerprint != task.fingerprint:
            raise Mismatch(
                f"{task.encoder} is encoder {self._loaded.fingerprint} on a node, and {task.fingerprint} "
                "where the ingest began; give a path that all nodes see, with the same files"
            )
        return self._loaded

    def _start(self, share: Share) -> None:
        self._finish()
        self._failed, self._open, self._closing = None, False, False
        self._telling = Telling(Summary("", "", ""))
        self._thread = threading.Thread(target=self._run, args=(share,), daemon=True)
        self._thread.start()
        with self._changed:
            self._changed.wait_for(lambda: self._open or self._failed is not None)
        self._check()

    def exchange(self, files: Sequence[Given]) -> Report:
        """Take files and tell what was done; waits until it wants more, or for half a second."""
        with self._changed:
            self._given.extend(files)
            self._changed.notify_all()
            # The driver had none for one that wanted some: it is not asked again at once.
            starving = not files and self._wanted() > 0
            self._changed.wait_for(lambda: (self._wanted() > 0 and not starving) or self._failed, QUIET)
        self._check()
        return self._telling.report(self._wanted())

    def close(self) -> Report:
        """Finish what was given, let go of the store, and tell the rest."""
        self._finish()
        self._check()
        return self._telling.report(0)

    def _finish(self) -> None:
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _check(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _wanted(self) -> int:
        return self._high - len(self._given) if len(self._given) <= self._high // 2 else 0

    def _run(self, share: Share) -> None:
        try:
            self._ingest(share)
        except BaseException as error:
            self._failed = error
        with self._changed:
            self._changed.notify_all()

    def _ingest(self, share: Share) -> None:
        from trainer.ingest.tuning import encoding_threads

        task, encoder = self._task, self._encoder()
        with contextlib.ExitStack() as stack:
            options = dataclasses.replace(
                task.options,
                edge=encoder.frame_edge,
                encoders=stack.enter_context(encoding_threads(encoder.device)),
                settings=f"{encoder.device.type} {task.precision}",
                share=share,
            )
            store = stack.enter_context(features(task.collection, encoder, options))
            source = _Given(self, store)
            filling = Filling(store, encoder, options, self._telling.summary, self._progress, source.ended)
            count = filling.readers(AT_HAND)
            with self._changed:
                self._high, self._open = AT_HAND * count, True
                self._changed.notify_all()
            filling.fill(source.of(filling), count, apart=True)

    def _progress(self, done: int, total: int, words: str) -> None:
        self._telling.done, self._telling.total = done, total

    def given(self, wait: bool) -> list[Given]:
        """Return the files at hand, with what is said and written in them if that is asked for.

        wait: until there are some, or no more at all.
        """
        with self._changed:
            if wait:
                self._changed.wait_for(lambda: bool(self._given) or self._closing)
            count = len(self._given) if self._task.recogniser or self._task.screens else 1
            files = [self._given.popleft() for _ in range(min(count, len(self._given)))]
            self._changed.notify_all()
        if files:
            self._texts([each.file for each in files])
        return files

    def _texts(self, files: Sequence[VideoFile]) -> None:
        """Transcribe and read screens, where that is wanted."""
        task, telling = self._task, self._telling
        if task.recogniser is not None:
            telling.heard.append(transcribe_all(task.collection, files, task.recogniser, lambda *_: None))
        if task.screens:
            telling.read.append(read_screens(task.collection, files, lambda *_: None))

    def had_turn(self, path: str) -> None:
        """Note that a file is settled."""
        self._telling.ended.append(path)


class _Given:
    """The files that a worker is given, as jobs."""

    def __init__(self, worker: IngestWorker, store: FeatureStore) -> None:
        self._worker, self._store = worker, store
        self._filling: Filling | None = None
        self._at_hand: deque[Given] = deque()
        self._names: dict[str, Given] = {}

    def of(self, filling: Filling) -> "_Given":
        """Make the jobs of this run."""
        self._filling = filling
        return self

    def next(self, wait: bool) -> Job | None:
        """Return the next job; None for none now, and where it is waited for, for no more."""
        assert self._filling is not None
        while True:
            if not self._at_hand:
                self._at_hand.extend(self._worker.given(wait))
            if not self._at_hand:
                return None
            given = self._at_hand.popleft()
            self._names[given.path] = given
            if given.deaths:
                # The one that died may have stored it.
                self._store.refresh()
            job = self._filling.job(given.id, given.file)
            if job is not None:
                return job

    def ended(self, file: VideoFile, settled: bool) -> None:
        """Take note of a file's turn; one that is not settled has another, as the copy that it is."""
        given = self._names.pop(str(file.path))
        if settled:
            self._worker.had_turn(given.path)
        else:
            self._at_hand.append(given)
