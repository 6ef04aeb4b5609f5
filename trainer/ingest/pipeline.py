"""Ingest: files in, rows of features out. Every video is whole in the store or absent from it."""

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from engine.printable import printable
from trainer.ingest import kept, media
from trainer.ingest.dealing import deal
from trainer.ingest.encoders import FrameEncoder
from trainer.ingest.errors import BadVideo
from trainer.ingest.filling import Filling
from trainer.ingest.identity import settle_absent
from trainer.ingest.meter import Progress
from trainer.ingest.naming import name_videos, names_elsewhere
from trainer.ingest.opening import check, features
from trainer.ingest.options import IngestOptions
from trainer.ingest.reader import Job, ReadOptions, words
from trainer.ingest.scan import Survey, VideoFile
from trainer.ingest.summary import Interrupted, Summary
from trainer.ingest.unfinished import sweep
from workers.feature_store.store import FeatureStore


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
    clips = options.clips.fingerprint if options.clips is not None else ""
    summary = Summary(str(collection), encoder.name, encoder.fingerprint, clips)
    for path, reason in found.unreadable:
        summary.fail(path, BadVideo("unreadable", reason))
    summary.left_out = [{"path": media.shown(path), "reason": reason} for path, reason in found.left_out]
    with features(collection, encoder, options) as store:
        summary.notes = list(store.notices)
        mine, others = deal(found.found[: options.limit or None], store, options.share)
        _forget(store, options, summary)
        run = Ingest(store, encoder, options, summary, progress)
        try:
            run.run(mine, others)
        except KeyboardInterrupt as stopped:
            raise Interrupted(summary) from stopped
        settle_absent(store, paths, run.contents, summary)
        sweep(store.path)
        if options.share.whole:
            # Others keep texts and pictures before they store the video.
            kept.sweep_alone(store)
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
    """One run over files that are all there."""

    def __init__(
        self,
        store: FeatureStore,
        encoder: FrameEncoder,
        options: IngestOptions,
        summary: Summary,
        progress: Progress,
    ) -> None:
        self._store, self._options, self._summary = store, options, summary
        self._again: list[VideoFile] = []
        self._filling = Filling(store, encoder, options, summary, progress, self._ended)
        self.contents = self._filling.storing.contents

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
            jobs = [
                job for video, file in named.items() if (job := self._filling.job(video, file)) is not None
            ]
            self._filling.fill(_Listed(jobs), self._filling.readers(len(jobs)))
            waiting = [*(file for file, _ in clashes), *self._again]
            if not waiting or not named:
                break
        for file, other in clashes:
            self._summary.fail(file.path, clash(file, other, self._options))
        self._summary.elapsed = round(time.monotonic() - began, 3)
        self._summary.seconds_of_video = round(self._summary.seconds_of_video, 3)

    def _ended(self, file: VideoFile, settled: bool) -> None:
        if not settled:
            self._again.append(file)

    def _known(self) -> dict[str, str]:
        ids = (video for video in self._store.ids() if not self._filling.freed(video))
        return {video: self._store.record(video).uri for video in ids}


class _Listed:
    """Jobs that are there from the beginning."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = iter(jobs)

    def next(self, wait: bool) -> Job | None:
        """Return the next one, None after the last."""
        return next(self._jobs, None)


def clash(file: VideoFile, other: str, options: IngestOptions) -> BadVideo:
    """Say why a file has no id: one that cannot be used needs none. other: what is in its way."""
    reading = ReadOptions(options.fps, options.edge, options.keep_truncated)
    first = next(words(Job(file.stem, file.path, None, None), reading))
    if isinstance(first, BadVideo):
        return first
    return BadVideo("id-clash", f"its id {file.stem!r} belongs to {printable(other)}; rename it")
