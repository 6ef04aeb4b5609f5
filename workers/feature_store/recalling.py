"""Deleted videos that are wanted again: their rows stay in the store's files until they are erased."""

from collections.abc import Mapping, Set
from dataclasses import asdict
from typing import Any

from workers.feature_store.format import VideoRecord, parse
from workers.feature_store.journal import Journal
from workers.feature_store.single import SingleStore
from workers.feature_store.store import FeatureStore


def recall(store: FeatureStore, wanted: Set[str]) -> list[str]:
    """Put back those of the videos that a deletion took out and whose rows are whole; return their ids.

    What was taken out in another way stays out. store: open for appending, whole.
    """
    found: set[str] = set()
    for number, part in list(store.parts.items()):
        there = _deleted(part)
        lost = {video: there[video] for video in wanted & there.keys() if video not in store}
        if lost:
            found.update(_put_back(store.writer(number), lost))
    return sorted(found)


def deleted(store: FeatureStore) -> list[VideoRecord]:
    """Return what was noted of the videos that a deletion took out, purged ones too."""
    return [
        record
        for part in store.parts.values()
        for video, record in _deleted(part).items()
        if video not in store
    ]


def _deleted(store: SingleStore) -> dict[str, VideoRecord]:
    """Return the last records of the videos that a deletion took out, by id."""
    last: dict[str, dict[str, Any]] = {}
    out: set[str] = set()
    for entry in Journal(store.path).read():
        video = entry.get("forget")
        if video is None:
            last[entry["id"]] = entry
            out.discard(entry["id"])
        elif entry.get("deleted"):
            out.add(video)
    return {video: parse(last[video], store.streams) for video in sorted(out)}


def _put_back(store: SingleStore, lost: Mapping[str, VideoRecord]) -> list[str]:
    found = sorted(lost)
    store.log([asdict(lost[video]) for video in found])
    # Of a purge the rows are zeros.
    erased = [video for video in found if not store.sound(video)]
    for video in erased:
        store.forget(video)
    return [video for video in found if video not in erased]
