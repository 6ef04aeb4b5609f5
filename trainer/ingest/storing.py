"""Writes a file's outcome into the feature store and the summary."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trainer.ingest import media, texts
from trainer.ingest.features import Said
from trainer.ingest.identity import Contents
from trainer.ingest.labels import Labels
from trainer.ingest.lanes import Rows
from trainer.ingest.reader import Job, Read, Unchanged
from trainer.ingest.scan import VideoFile
from trainer.ingest.summary import Summary, few
from workers.feature_store.format import FORMERLY, VideoRecord
from workers.feature_store.store import FeatureStore


class Storing:
    """Writes videos and what is noted of them. contents: of the store, kept up to date."""

    def __init__(self, store: FeatureStore, summary: Summary) -> None:
        self._store, self._summary = store, summary
        self.collection = store.path.parents[1]
        self.contents = Contents(store)
        self._labels = Labels()
        # Videos stored beside what was of their content then.
        self._copied: list[tuple[Path, str]] = []

    def write(
        self,
        job: Job,
        file: VideoFile,
        read: Read,
        rows: Mapping[str, Rows],
        subtitles: Said,
        more: dict[str, str],
    ) -> None:
        """Store what was read, rows by stream; InvalidInput for what no store holds. more: to be noted."""
        report = read.report
        warnings = (*read.warnings, *([subtitles.doubt] if subtitles.doubt else []))
        before = self.contents.moved(job, read.source)
        video = job.id if before is None else self.contents.name(file, job.id, before)
        self._store.append(
            video,
            {**rows, "subtitles": subtitles.rows},
            uri=media.uri_of(job.path),
            sha256=read.source.sha256,
            duration=report.duration,
            info=self._facts(job, _added(before or job.known))
            | _info(read, warnings)
            | {texts.KEY: texts.write(self.collection, read.texts)}
            | more
            | _former_ids(before, video),
        )
        self.contents.note(self._store.record(video))
        if before is not None and before.id != video:
            self._store.forget(before.id)
            self._summary.move(before.id, video)
        self._summary.ingested += 1
        self._summary.frames += len(rows["frames"])
        self._summary.decoded_frames += report.frames
        self._summary.seconds_of_video += report.duration
        if self.contents.copies(video):
            self._copied.append((job.path, video))
        for warning in warnings:
            self._summary.warn(job.path, warning)

    def keep(self, job: Job, file: VideoFile, found: Unchanged) -> bool:
        """Note the new place, name or time of a file whose bytes are as before.

        False where another file of this run with the same bytes came first: this one is a copy, to be read.
        """
        before = job.known or self.contents.moved(job, found.source)
        if before is None:
            return False
        video = before.id if job.known else self.contents.name(file, job.id, before)
        info = self._facts(job, before.info) | found.source.info | _former_ids(before, video)
        info[texts.KEY] = texts.write(self.collection, found.texts)
        self.contents.note(self._store.revise(before.id, uri=media.uri_of(job.path), info=info, rename=video))
        if video != before.id:
            self._summary.move(before.id, video)
        for warning in found.warnings:
            self._summary.warn(job.path, warning)
        self._summary.skipped += 1
        return True

    def tell_copies(self) -> None:
        """Warn of what was stored beside its own copies, once no other file of the run may replace these."""
        for path, video in self._copied:
            if video in self._store and (copies := self.contents.copies(video)):
                self._summary.warn(path, f"it has the same content as {few(copies)}; each is kept")
        self._copied.clear()

    def describe(self, job: Job) -> None:
        """Note labels and date of a file that is as it was, where they are others now."""
        assert job.known is not None
        info = self._facts(job, job.known.info)
        if info != job.known.info:
            self._store.revise(job.id, uri=job.known.uri, info=info)
            self._summary.described += 1

    def _facts(self, job: Job, noted: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is noted of a video, with the labels and the date that are written beside it now."""
        told = self._labels.of(job.path)
        for warning in told.warnings:
            self._summary.warn(job.path, warning)
        info = {name: value for name, value in noted.items() if name not in ("labels", "date")}
        info |= {"labels": list(told.labels)} if told.labels else {}
        return info | ({"date": told.date} if told.date is not None else {})


def _added(known: VideoRecord | None) -> dict[str, Any]:
    """Return when a video was added: now, unless it is known."""
    if known is None:
        return {"added": int(time.time())}
    return {name: value for name, value in known.info.items() if name == "added"}


def _former_ids(before: VideoRecord | None, video: str) -> dict[str, list[str]]:
    """Return the entry FORMERLY of a video that was `before`: a build knows renamed videos by it."""
    if before is None:
        return {}
    former = [*before.info.get(FORMERLY, []), *([before.id] if before.id != video else [])]
    return {FORMERLY: former} if former else {}


def _info(read: Read, warnings: tuple[str, ...]) -> dict[str, Any]:
    report = read.report
    return {
        **read.source.info,
        "sidecar_sha256": read.source.sidecar_sha256,
        "subtitles": len(read.cues),
        "codec": report.codec,
        "width": report.width,
        "height": report.height,
        "decoded_frames": report.frames,
        "warnings": list(warnings),
    }
