"""Which of several runs of an ingest takes which file: each is one's, whatever runs when, or runs again."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from trainer.ingest import media
from trainer.ingest.naming import whereabouts
from trainer.ingest.scan import VideoFile
from workers.feature_store.shares import Share
from workers.feature_store.store import FeatureStore, VideoRecord

Away = Mapping[int, Sequence[VideoRecord]]


def deal(
    files: Sequence[VideoFile], store: FeatureStore | None, share: Share
) -> tuple[list[VideoFile], list[VideoFile]]:
    """Return the files of a share, and those of others. store: what is known by now, None for nothing.

    A file that is known belongs to whoever writes the part it is in, and so does one that may be a known
    video in another place: its size is that of one that is away. Any other goes by a hash of its path,
    without the extension: files that would share a name are one writer's.
    """
    if share.whole:
        return list(files), []
    home = {} if store is None else {store.record(video).uri: store.part_of(video) for video in store.ids()}
    away = {} if store is None else videos_away(store, {media.uri_of(file.path) for file in files})
    mine, others = list[VideoFile](), list[VideoFile]()
    for file in files:
        part = home.get(media.uri_of(file.path))
        if part is None and away and store is not None:
            part = part_before(file.path, away, store.part_of, share)
        if part is None:
            part = hashed(file.path, share.count)
        (mine if share.has(part) else others).append(file)
    return mine, others


def hashed(path: Path, count: int) -> int:
    """Return a number below `count` that a path gives; the extension makes no difference."""
    digest = hashlib.sha256(os.fsencode(path.with_suffix(""))).digest()
    return int.from_bytes(digest[:8], "big") % count


def videos_away(store: FeatureStore, there: set[str]) -> Away:
    """Return the videos by size of their files that are not where they were; `there`: URIs that are."""
    found: dict[int, list[VideoRecord]] = {}
    for video in store.ids():
        record = store.record(video)
        if record.uri not in there and whereabouts(media.path_of(record.uri)) in ("gone", "away"):
            found.setdefault(record.info.get("size", -1), []).append(record)
    return found


def part_before(path: Path, away: Away, part_of: Callable[[str], int], share: Share) -> int | None:
    """Return the part of the video that a file may be; its content decides where several writers have one."""
    try:
        known = away.get(media.status(path).size, ())
        if len({part_of(record.id) % share.count for record in known}) > 1:
            content = media.content_of(path)
            known = [record for record in known if record.sha256 == content]
    except OSError:
        return None
    return part_of(known[0].id) if known else None
