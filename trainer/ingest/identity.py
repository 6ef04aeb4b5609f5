"""Which videos are the same: by content, wherever a file lies and whatever it is called."""

import os
from collections.abc import Sequence
from pathlib import Path

from trainer.ingest import media
from trainer.ingest.naming import names, whereabouts
from trainer.ingest.reader import Job, Source
from trainer.ingest.scan import VideoFile
from trainer.ingest.summary import Summary
from workers.feature_store.store import FeatureStore, VideoRecord


class Contents:
    """What a store holds, by size and by SHA-256 of the file. Follows what is stored during a run."""

    def __init__(self, store: FeatureStore) -> None:
        self._store = store
        self._by_size: dict[int, list[str]] = {}
        self._by_sha256: dict[str, set[str]] = {}
        for video in store.ids():
            record = store.record(video)
            self._by_size.setdefault(record.info.get("size", -1), []).append(video)
            self.note(record)

    def note(self, record: VideoRecord) -> None:
        """Take in a video that was stored."""
        if record.sha256:
            self._by_sha256.setdefault(record.sha256, set()).add(record.id)

    def away(self, size: int) -> tuple[VideoRecord, ...]:
        """Return the videos of a size, of this writer's parts, whose files are not where they were."""
        ours = (v for v in self._by_size.get(size, ()) if v in self._store and self._store.writable(v))
        records = map(self._store.record, ours)
        return tuple(record for record in records if _place(record) in ("gone", "away"))

    def moved(self, job: Job, source: Source) -> VideoRecord | None:
        """Return the video that a job's file is, under another name or in another place than before."""
        for record in job.away:
            there = record.id in self._store and self._store.record(record.id).uri == record.uri
            if there and record.sha256 == source.sha256:
                return record
        return None

    def name(self, file: VideoFile, given: str, before: VideoRecord) -> str:
        """Return what a file that moved is called: as before where that still fits, else as `given`."""
        return before.id if before.id in names(file) else given

    def copies(self, video: str) -> list[str]:
        """Return the other videos with a video's content, sorted; those of other writers until now, too."""
        for other in self._store.refresh():
            if other in self._store:
                self.note(self._store.record(other))
        sha256 = self._store.record(video).sha256
        others = self._by_sha256.get(sha256, set()) - {video}
        # One that was replaced meanwhile is of another content.
        return sorted(v for v in others if v in self._store and self._store.record(v).sha256 == sha256)


def settle_absent(store: FeatureStore, paths: Sequence[Path], contents: Contents, summary: Summary) -> None:
    """Note which videos below the directories given are not there, and take out those that were renamed."""
    roots = [media.absolute(path) for path in paths if media.is_remote(path) or os.path.isdir(path)]
    for video in store.ids():
        if video not in store or not store.writable(video):
            # Another writer's, which may take it out meanwhile.
            continue
        path = media.path_of(store.record(video).uri)
        if path is None or not any(path.is_relative_to(root) for root in roots):
            continue
        # What a store has listed is not asked for again.
        where = "there" if media.is_remote(path) and media.exists(path) else whereabouts(path)
        if where == "there":
            continue
        twins = [v for v in contents.copies(video) if _place(store.record(v)) == "there"]
        if where != "gone":
            # It may come back beside its twin.
            summary.unseen.append(video)
        elif twins:
            store.forget(video)
            summary.move(video, twins[0])
        else:
            summary.gone.append(video)


def _place(record: VideoRecord) -> str:
    return whereabouts(media.path_of(record.uri))
