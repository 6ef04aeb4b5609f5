"""Ingest: files in, rows of features out. Every video is whole in the store or absent from it."""

import time
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.errors import InvalidInput, Unavailable
from engine.files import fingerprint
from engine.printable import printable
from trainer.ingest import kept, media
from trainer.ingest.dealing import deal
from trainer.ingest.errors import BadVideo
from trainer.ingest.features import Encoding, FrameEncoder
from trainer.ingest.identity import settle_absent
from trainer.ingest.limits import cores
from trainer.ingest.meter import Meter, Progress
from trainer.ingest.naming import name_videos, names_elsewhere
from trainer.ingest.opening import check, features
from trainer.ingest.options import IngestOptions
from trainer.ingest.reader import Job, Read, ReadOptions, Unchanged, source_info, stamp, with_sidecars, words
from trainer.ingest.readers import Readers
from trainer.ingest.scan import Survey, VideoFile
from trainer.ingest.sidecars import Sidecars
from trainer.ingest.storing import Storing
from trainer.ingest.summary import Interrupted, Summary
from trainer.ingest.texts import KEY, whole
from trainer.ingest.tiles import Making
from trainer.ingest.unfinished import DIRECTORY, Unfinished, sweep
from trainer.ingest.video import Sample
from workers.feature_store.store import FeatureStore

# Bytes of video that take a thread about as long as it takes processes to start.
FEW_BYTES = 8_000_000


def ingest(
    paths: Sequence[Path],
    collection: Path,
    encoder: FrameEncoder,
    options: IngestOptions,
    progress: Progress,
    found: Survey | None = None,
) -> Summary:
    """Bring a collection up to date with files and directories of videos.

    found: what `check` returned for the paths, where it was called before. A file that cannot be ingested is
    in the summary's `failed`. Raises NotFound where there is nothing to ingest, Mismatch for a collection of
    other settings, Unavailable where the disk is full or another ingest runs, Interrupted for Ctrl-C.
    """
    found = found or check(paths, collection, options.fps)
    summary = Summary(str(collection), encoder.name, encoder.fingerprint)
    for path, reason in found.unreadable:
        summary.fail(path, BadVideo("unreadable", reason))
    summary.left_out = [{"path": media.shown(path), "reason": reason} for path, reason in found.left_out]
    with features(collection, encoder, options.fps, options.dtype, options.share) as store:
        summary.notes = list(store.notices)
        mine, others = deal(found.found[: options.limit or None], store, options.share)
        _forget(store, options, summary)
        pictures = Making(collection if options.pictures else None, options.fps)
        run = Ingest(store, encoder, options, summary, progress, pictures)
        try:
            run.run(mine, others)
        except KeyboardInterrupt as stopped:
            raise Interrupted(summary) from stopped
        settle_absent(store, paths, run.storing.contents, summary)
        sweep(store.path)
        if options.share.whole:
            # Others keep texts and pictures before they store the video.
            kept.sweep(collection)
    summary.sort()
    return summary


def _forget(store: FeatureStore, options: IngestOptions, summary: Summary) -> None:
    """Take out what is to be forgotten; of several writers each does its own, and may find it done."""
    for video in options.forget:
        if options.share.whole or (video in store and store.writable(video)):
            store.forget(video)
        elif video not in store:
            summary.notes.append(f"video {printable(video)!r} is in no part, or not any more")


class Ingest:
    """One run over files. Reads and encodes in the background, writes in the caller's thread."""

    def __init__(
        self,
        store: FeatureStore,
        encoder: FrameEncoder,
        options: IngestOptions,
        summary: Summary,
        progress: Progress,
        pictures: Making,
    ) -> None:
        self._store, self._encoder, self._options = store, encoder, options
        self._summary, self._pictures = summary, pictures
        self.storing = Storing(store, summary)
        self._sidecars = Sidecars()
        self._ended: deque[tuple[Job, Read]] = deque()
        self._again: list[VideoFile] = []
        self._files: dict[Job, VideoFile] = {}
        self._meter = Meter(progress, options.fps, summary)

    def run(self, files: Sequence[VideoFile], others: Sequence[VideoFile] = ()) -> None:
        """Ingest what is new; fill in the summary. others: files that other runs ingest.

        A file that another stands in the way of has its turn when that one turned out to be no video.
        """
        began = time.monotonic()
        waiting: Sequence[VideoFile] = files
        whole = sorted((*files, *others), key=lambda file: file.path)
        stems = Counter(file.stem for file in whole)
        theirs = names_elsewhere(whole, others, self._known(), stems)
        while True:
            named, clashes = name_videos(waiting, theirs | self._known(), stems)
            self._again = []
            self._round(named)
            waiting = [*(file for file, _ in clashes), *self._again]
            if not waiting or not named:
                break
        for file, other in clashes:
            self._summary.fail(file.path, self._clash(file, other))
        self._summary.elapsed = round(time.monotonic() - began, 3)
        self._summary.seconds_of_video = round(self._summary.seconds_of_video, 3)

    def _known(self) -> dict[str, str]:
        ids = (video for video in self._store.ids() if not self._freed(video))
        return {video: self._store.record(video).uri for video in ids}

    def _freed(self, video: str) -> bool:
        """Whether another writer takes a video out, so that its id is free."""
        return video in self._options.forget and not self._store.writable(video)

    def _clash(self, file: VideoFile, other: str) -> BadVideo:
        """Say why a file has no id: one that cannot be used needs none."""
        reading = ReadOptions(self._options.fps, self._options.edge, self._options.keep_truncated)
        first = next(words(Job(file.stem, file.path, None, None), reading))
        if isinstance(first, BadVideo):
            return first
        return BadVideo("id-clash", f"its id {file.stem!r} belongs to {printable(other)}; rename it")

    def _round(self, named: Mapping[str, VideoFile]) -> None:
        todo = [job for video, file in named.items() if (job := self._job(video, file)) is not None]
        encoding = Encoding(
            self._encoder, self._options.batch_size, self._options.fps, self._options.encoders
        )
        with self._readers(todo) as readers, encoding:
            for job in todo:
                encoding.begin(job, self._unfinished(job))
            for item in readers:
                if item is not None:
                    self._take(encoding, *item)
                while self._ended and encoding.done(self._ended[0][0]):
                    self._write_first(encoding)
            while self._ended:
                self._write_first(encoding)

    def _readers(self, todo: Sequence[Job]) -> Readers:
        options = self._options
        count = max(1, min(options.readers or min(16, cores()), len(todo)))
        threads = max(1, cores() // count)
        reading = ReadOptions(
            options.fps,
            options.edge,
            options.keep_truncated,
            threads,
            options.limits,
            self.storing.collection,
        )
        apart = self._meter.left > FEW_BYTES if options.apart is None else options.apart
        return Readers(todo, reading, count, apart=apart)

    def _job(self, video: str, file: VideoFile) -> Job | None:
        """Return what is to be read: a file that is new, or whose size, time, place or texts changed.

        Or one whose rows are damaged: the source is there to make them again. One that was ingested when no
        texts were kept is looked at for them; its pictures are not decoded.
        """
        known = self._store.record(video) if video in self._store and not self._freed(video) else None
        beside = self._sidecars.of(file.path)
        job = Job(video, file.path, beside.path, known, notes=beside.notes, language=beside.language)
        if known is not None:
            job = with_sidecars(job, self.storing.collection, known.sha256)
        try:
            info = source_info(job, fresh=False)
        except BadVideo as error:
            self._summary.fail(job.path, error)
            return None
        if known is not None and not self._store.sound(video):
            self._summary.warn(file.path, "its rows were damaged in the store; they are made again")
            job = replace(job, known=None)
        elif known is None:
            job = replace(job, away=self.storing.contents.away(info["size"]))
        elif (
            KEY in known.info
            and whole(self.storing.collection, known.info)
            and known.uri == media.uri_of(job.path)
            and all(known.info.get(key) == info[key] for key in info)
        ):
            self.storing.describe(job)
            self._summary.skipped += 1
            return None
        self._files[job] = file
        self._meter.expect(job, info["size"])
        return job

    def _unfinished(self, job: Job) -> Unfinished:
        """Return where a long video's rows are kept until it is complete, named by all that decides them."""
        options = self._options
        state = stamp(job.path, fresh=False)
        settings = [options.fps, options.edge, options.batch_size, options.settings, state]
        name = fingerprint(media.uri_of(job.path).encode(), *(str(each).encode() for each in settings))
        return Unfinished(self._store.path / DIRECTORY / name, self._encoder.dim)

    def _take(self, encoding: Encoding, job: Job, word: Sample | Read | Unchanged | BadVideo) -> None:
        if isinstance(word, Sample):
            encoding.add(job, word)
            self._pictures.take(job, job.path, word)
            self._meter.read(job, word)
        elif isinstance(word, Read):
            encoding.end(job, word.cues, word.report.rows)
            self._ended.append((job, word))
        else:
            encoding.drop(job)
            self._pictures.drop(job)
            if isinstance(word, BadVideo):
                self._summary.fail(job.path, word)
            elif not self.storing.keep(job, self._files[job], word):
                self._again.append(self._files[job])
            self._meter.done(job)

    def _write_first(self, encoding: Encoding) -> None:
        """Store the video that ended first, when its rows are there."""
        job, read = self._ended.popleft()
        try:
            shown = self._pictures.store(job)
            self.storing.write(job, self._files[job], read, *encoding.take(job), shown)
        except InvalidInput as error:
            self._summary.fail(job.path, BadVideo("unusable-features", str(error)))
        except OSError as error:
            raise Unavailable(
                f"{self._store.path} cannot be written ({error.strerror}); make room and run the same "
                "command again, it goes on where it stopped"
            ) from error
        encoding.drop(job)
        self._meter.done(job)
