"""Ingest: files in, rows of features out. Every video is whole in the store or absent from it."""

import os
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable
from engine.files import read_json, write_json
from trainer.ingest.errors import BadVideo
from trainer.ingest.features import Encoding, FrameEncoder
from trainer.ingest.limits import DEFAULT, Limits, cores
from trainer.ingest.naming import local_path, name_videos
from trainer.ingest.reader import Job, Read, ReadOptions, Source, Unchanged, source_info
from trainer.ingest.readers import Readers
from trainer.ingest.scan import Sidecars, find
from trainer.ingest.summary import Summary
from trainer.ingest.video import Sample
from workers.store import FeatureStore, Stream


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """fps: rows a second. edge: pixels of a frame's short side. dtype: of the store. limit: files, 0 = all.

    readers: files decoded at a time, 0 = one a core, at most 16. encoders: batches encoded at a time.
    apart: decode in processes of their own; None = where there is enough to decode. None of the three
    changes a row.
    """

    fps: Fraction = Fraction(1)
    edge: int = 224
    batch_size: int = 64
    dtype: str = "float16"
    keep_truncated: bool = False
    limit: int = 0
    readers: int = 0
    encoders: int = 1
    apart: bool | None = None
    limits: Limits = DEFAULT


# Bytes of video that take a thread about as long as it takes processes to start.
FEW_BYTES = 8_000_000

# Called now and then: bytes done, bytes in all, words about it.
Progress = Callable[[int, int, str], None]


def ingest(
    paths: Sequence[Path], collection: Path, encoder: FrameEncoder, options: IngestOptions, progress: Progress
) -> Summary:
    """Bring a collection up to date with files and directories of videos.

    A file that cannot be ingested is in the summary's `failed`. Raises NotFound where there is nothing to
    ingest, Mismatch for a collection of other settings, Unavailable where the disk is full or another
    ingest is running.
    """
    found = find(paths)
    if not found:
        raise NotFound(f"there is no video in {', '.join(map(str, paths))}; name a directory that has some")
    summary = Summary(str(collection), encoder.name, encoder.fingerprint)
    with open_features(collection, encoder, options) as store:
        known = {video: store.record(video).uri for video in store.ids()}
        named, clashes = name_videos(found[: options.limit or None], known)
        for file, clash in clashes:
            summary.fail(file.path, clash)
        summary.gone = _gone({video: uri for video, uri in known.items() if video not in named}, paths)
        sidecars = Sidecars()
        jobs = [
            Job(video, file.path, sidecars.of(file.path), store.record(video) if video in store else None)
            for video, file in named.items()
        ]
        Ingest(store, encoder, options, summary, progress).run(jobs)
    summary.sort()
    return summary


def open_features(collection: Path, encoder: FrameEncoder, options: IngestOptions) -> FeatureStore:
    """Open the collection's store of this encoder's features for writing; make what is missing."""
    if not 0 < options.fps <= 60:
        raise InvalidInput(f"--fps {float(options.fps)} is not between 0 and 60; 1 is usual")
    about = collection / "collection.json"
    if not about.exists():
        write_json(about, {"name": "default", "format": 1})
    elif (found := read_json(about).get("format")) != 1:
        raise Mismatch(f"{about} has format {found!r}, this program reads 1; ingest into a new directory")
    step = float(1 / options.fps)
    streams = {"frames": Stream(encoder.dim, step), "subtitles": Stream(encoder.dim, step)}
    source = str(Path(encoder.name).resolve()) if Path(encoder.name).is_dir() else encoder.name
    meta = {"encoder": Path(encoder.name).name, "source": source, "fingerprint": encoder.fingerprint}
    return FeatureStore.ensure(collection / "features" / encoder.fingerprint, streams, options.dtype, meta)


class Ingest:
    """One run over a list of jobs. Reads and encodes in the background, writes in the caller's thread."""

    def __init__(
        self,
        store: FeatureStore,
        encoder: FrameEncoder,
        options: IngestOptions,
        summary: Summary,
        progress: Progress,
    ) -> None:
        self._store, self._encoder, self._options = store, encoder, options
        self._summary, self._progress = summary, progress
        self._encoding = Encoding(encoder, options.batch_size, options.fps, options.encoders)
        self._ended: deque[tuple[Job, Read]] = deque()
        self._began = time.monotonic()
        self._seconds = 0.0
        self._sizes: dict[str, int] = {}
        self._partial: dict[str, float] = {}
        self._bytes_done = self._bytes = 0

    def run(self, jobs: Sequence[Job]) -> None:
        """Read, encode and store what is new; fill in the summary."""
        todo = [job for job in jobs if self._needed(job)]
        with self._readers(todo) as readers, self._encoding:
            for item in readers:
                if item is not None:
                    self._take(*item)
                while self._ended and self._encoding.done(self._ended[0][0]):
                    self._write_first()
            while self._ended:
                self._write_first()
        self._summary.elapsed = round(time.monotonic() - self._began, 3)
        self._summary.seconds_of_video = round(self._summary.seconds_of_video, 3)

    def _readers(self, todo: Sequence[Job]) -> Readers:
        options = self._options
        count = max(1, min(options.readers or min(16, cores()), len(todo)))
        threads = max(1, cores() // count)
        reading = ReadOptions(options.fps, options.edge, options.keep_truncated, threads, options.limits)
        apart = self._bytes > FEW_BYTES if options.apart is None else options.apart
        return Readers(todo, reading, count, apart=apart)

    def _needed(self, job: Job) -> bool:
        """Whether a file must be read: it is new, or its size, time, place or subtitle file changed."""
        try:
            info = source_info(job)
        except BadVideo as error:
            self._summary.fail(job.path, error)
            return False
        known = job.known
        if known and known.uri == job.path.as_uri() and all(known.info.get(key) == info[key] for key in info):
            self._summary.skipped += 1
            return False
        self._sizes[job.id] = info["size"]
        self._bytes += info["size"]
        return True

    def _take(self, job: Job, word: Sample | Read | Unchanged | BadVideo) -> None:
        if isinstance(word, Sample):
            self._encoding.add(job, word)
            self._partial[job.id] = word.share * self._sizes[job.id]
            self._seconds += word.rows / float(self._options.fps)
        elif isinstance(word, Read):
            self._encoding.end(job, word.cues, word.report.rows)
            self._ended.append((job, word))
        else:
            self._encoding.drop(job)
            if isinstance(word, BadVideo):
                self._summary.fail(job.path, word)
            else:
                self._keep(job, word.source)
            self._done(job)

    def _write_first(self) -> None:
        """Store the video that ended first, when its rows are there."""
        job, read = self._ended.popleft()
        try:
            self._write(job, read)
        except InvalidInput as error:
            self._summary.fail(job.path, BadVideo("unusable-features", str(error)))
        except OSError as error:
            raise Unavailable(
                f"{self._store.path} cannot be written ({error.strerror}); make room and run the same "
                "command again, it goes on where it stopped"
            ) from error
        self._done(job)

    def _write(self, job: Job, read: Read) -> None:
        report = read.report
        frames, subtitles = self._encoding.take(job)
        self._store.append(
            job.id,
            {"frames": frames, "subtitles": subtitles},
            uri=job.path.as_uri(),
            sha256=read.source.sha256,
            duration=report.duration,
            info=_info(read),
        )
        self._summary.ingested += 1
        self._summary.frames += len(frames)
        self._summary.decoded_frames += report.frames
        self._summary.seconds_of_video += report.duration
        for warning in read.warnings:
            self._summary.warn(job.path, warning)

    def _keep(self, job: Job, source: Source) -> None:
        """Note the new place or time of a file whose bytes are as before."""
        assert job.known is not None
        self._store.revise(job.id, uri=job.path.as_uri(), info={**job.known.info, **source.info})
        self._summary.skipped += 1

    def _done(self, job: Job) -> None:
        self._bytes_done += self._sizes[job.id]
        self._partial.pop(job.id, None)
        self._tell()

    def _tell(self) -> None:
        counts = f"{self._summary.ingested} ingested, {len(self._summary.failed)} failed"
        speed = self._seconds / max(time.monotonic() - self._began, 1e-9)
        done = self._bytes_done + int(sum(self._partial.values()))
        self._progress(done, self._bytes, f"{counts}, {speed:.0f}x real time")


def _info(read: Read) -> dict[str, Any]:
    report = read.report
    return {
        **read.source.info,
        "sidecar_sha256": read.source.sidecar_sha256,
        "subtitles": len(read.cues),
        "codec": report.codec,
        "width": report.width,
        "height": report.height,
        "decoded_frames": report.frames,
        "warnings": list(read.warnings),
    }


def _gone(known: dict[str, str], paths: Sequence[Path]) -> list[str]:
    """Return which of the known videos (id -> uri) lay in the directories given and are no longer there."""
    roots = [Path(os.path.abspath(path)) for path in paths if path.is_dir()]
    gone = []
    for video, uri in sorted(known.items()):
        path = local_path(uri)
        if path is not None and any(path.is_relative_to(root) for root in roots) and not path.exists():
            gone.append(video)
    return gone
