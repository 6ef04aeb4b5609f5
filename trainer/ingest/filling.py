"""Fills a feature store with files: reads and encodes in the background, writes in the caller's thread."""

import queue
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property, partial
from typing import Protocol

from engine.cores import cores
from engine.errors import InvalidInput
from engine.files import fingerprint, refusal
from trainer.ingest import media
from trainer.ingest.beside import Sidecars
from trainer.ingest.encoders import FrameEncoder
from trainer.ingest.errors import BadVideo
from trainer.ingest.features import Encoding
from trainer.ingest.meter import Meter, Progress
from trainer.ingest.options import IngestOptions
from trainer.ingest.reader import Job, Read, ReadOptions, Unchanged, source_info, stamp, with_sidecars
from trainer.ingest.readers import Readers
from trainer.ingest.scan import VideoFile
from trainer.ingest.storing import Storing
from trainer.ingest.summary import Summary
from trainer.ingest.texts import KEY, whole
from trainer.ingest.tiles import Making
from trainer.ingest.unfinished import DIRECTORY, Unfinished
from trainer.ingest.video import Sample
from workers.feature_store.recalling import deleted
from workers.feature_store.store import FeatureStore

# Bytes of video that take a thread about as long as it takes processes to start.
FEW_BYTES = 8_000_000


class Source(Protocol):
    """Where jobs come from."""

    def next(self, wait: bool) -> Job | None:
        """Return the next job, None for none now; where it is waited for, for no more at all."""


class Filling:
    """One writer of a store, one file after the other. storing: what it writes with."""

    def __init__(
        self,
        store: FeatureStore,
        encoder: FrameEncoder,
        options: IngestOptions,
        summary: Summary,
        progress: Progress,
        on_end: Callable[[VideoFile, bool], None] = lambda file, settled: None,
    ) -> None:
        """on_end: called with each file that had its turn, and whether it is settled or needs another."""
        self._store, self._encoder, self._options = store, encoder, options
        self._summary, self._on_end = summary, on_end
        self.storing = Storing(store, summary)
        self._pictures = Making(self.storing.collection if options.pictures else None, options.fps)
        self._sidecars = Sidecars()
        self._ended: deque[tuple[Job, Read]] = deque()
        self._files: dict[Job, VideoFile] = {}
        self._reading = 0
        self.meter = Meter(progress, options.fps, summary)

    def readers(self, files: int) -> int:
        """Return how many of so many files are read at a time."""
        return max(1, min(self._options.readers or min(16, cores()), files))

    def freed(self, video: str) -> bool:
        """Whether another writer takes a video out, so that its id is free."""
        return video in self._options.forget and not self._store.writable(video)

    def job(self, video: str, file: VideoFile) -> Job | None:
        """Return what is to be read: a file that is new, or whose size, time, place or texts changed.

        Or one whose rows are damaged: the source is there to make them again. One that was ingested when no
        texts were kept is looked at for them; its pictures are not decoded.
        """
        known = self._store.record(video) if video in self._store and not self.freed(video) else None
        beside = self._sidecars.of(file.path)
        job = Job(video, file.path, beside.path, known, notes=beside.notes, language=beside.language)
        if known is not None:
            job = with_sidecars(job, self.storing.collection, known.sha256)
        try:
            info = source_info(job, fresh=False)
        except BadVideo as error:
            self._summary.fail(job.path, error)
            self._on_end(file, True)
            return None
        if known is not None and not self._store.sound(video):
            self._summary.warn(file.path, "its rows were damaged in the store; they are made again")
            job = replace(job, known=None)
        elif known is None:
            job = replace(job, away=self.storing.contents.away(info["size"]))
            if media.uri_of(job.path) in self._deleted:
                self._summary.warn(file.path, "it was deleted, and comes back; move it away to keep it out")
        elif (
            KEY in known.info
            and whole(self.storing.collection, known.info)
            and known.uri == media.uri_of(job.path)
            and all(known.info.get(key) == info[key] for key in info)
        ):
            self.storing.describe(job)
            self._summary.skipped += 1
            self._on_end(file, True)
            return None
        self._files[job] = file
        self.meter.expect(job, info["size"])
        return job

    @cached_property
    def _deleted(self) -> set[str]:
        """Where the files of deleted videos lay."""
        return {record.uri for record in deleted(self._store)}

    def fill(self, source: Source, count: int, apart: bool | None = None) -> None:
        """Ingest what comes, `count` files at a time. apart: decode in processes; None: if it is worth it."""
        encoding = Encoding(self._encoder, self._options)
        jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        with self._readers(jobs, count, apart) as readers, encoding:
            try:
                self._top_up(source, encoding, jobs, count)
                for item in readers:
                    if item is not None:
                        self._take(encoding, *item)
                        self._top_up(source, encoding, jobs, count)
                    while self._ended and encoding.done(self._ended[0][0]):
                        self._write_first(encoding)
            finally:
                # Readers that wait for a job go when there is none.
                jobs.put(None)
            self._write_all(encoding)
        self.storing.tell_copies()

    def _top_up(
        self, source: Source, encoding: Encoding, jobs: "queue.SimpleQueue[Job | None]", count: int
    ) -> None:
        """Keep a job for each reader waiting."""
        while self._reading < 2 * count:
            job = source.next(wait=False)
            if job is None and not self._reading:
                # What is read is stored before anything is waited for.
                self._write_all(encoding)
                job = source.next(wait=True)
                if job is None:
                    jobs.put(None)
            if job is None:
                return
            encoding.begin(job, partial(self._unfinished, job))
            self._reading += 1
            jobs.put(job)

    def _readers(self, jobs: "queue.SimpleQueue[Job | None]", count: int, apart: bool | None) -> Readers:
        options = self._options
        reading = ReadOptions(
            options.fps,
            options.edge,
            options.keep_truncated,
            max(1, cores() // count),
            options.limits,
            self.storing.collection,
        )
        chosen = apart if options.apart is None else options.apart
        apart = self.meter.left > FEW_BYTES if chosen is None else chosen
        return Readers(iter(jobs.get, None), reading, count, apart=apart)

    def _unfinished(self, job: Job, stream: str) -> Unfinished:
        """Return where a long video's rows are kept until it is complete, named by all that decides them."""
        options = self._options
        state = stamp(job.path, fresh=False)
        settings = [options.fps, options.edge, options.batch_size, options.settings, state]
        name = fingerprint(media.uri_of(job.path).encode(), *(str(each).encode() for each in settings))
        name += "" if stream == "frames" else f"-{stream}"
        return Unfinished(self._store.path / DIRECTORY / name, self._store.streams[stream].dim)

    def _take(self, encoding: Encoding, job: Job, word: Sample | Read | Unchanged | BadVideo) -> None:
        if isinstance(word, Sample):
            encoding.add(job, word)
            self._pictures.take(job, job.path, word)
            self.meter.read(job, word)
            return
        self._reading -= 1
        if isinstance(word, Read):
            encoding.end(job, word.cues, word.report.rows)
            self._ended.append((job, word))
            return
        settled = True
        if isinstance(word, BadVideo):
            self._summary.fail(job.path, word)
        else:
            settled = self.storing.keep(job, self._files[job], word)
        self._pictures.drop(job)
        self._end(encoding, job, settled)

    def _write_all(self, encoding: Encoding) -> None:
        while self._ended:
            self._write_first(encoding)

    def _write_first(self, encoding: Encoding) -> None:
        """Store the video that ended first, when its rows are there."""
        job, read = self._ended.popleft()
        try:
            shown = self._pictures.store(job)
            self.storing.write(job, self._files[job], read, *encoding.take(job), shown)
        except InvalidInput as error:
            self._summary.fail(job.path, BadVideo("unusable-features", str(error)))
        except OSError as error:
            raise refusal(error, error.filename or self._store.path) from error
        self._end(encoding, job, True)

    def _end(self, encoding: Encoding, job: Job, settled: bool) -> None:
        encoding.drop(job)
        self.meter.done(job)
        self._on_end(self._files.pop(job), settled)
