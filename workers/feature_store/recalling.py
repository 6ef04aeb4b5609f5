"""Deleted videos that are wanted again: their rows stay in the store's files until they are erased."""

from collections.abc import Set
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
    for part in store.parts.values():
        found.update(_recall(part, {video for video in wanted if video not in store}))
    return sorted(found)


def deleted(store: FeatureStore) -> list[VideoRecord]:
    """Return what was noted of the videos that a deletion took out, purged ones too."""
    return [
        record
        for part in store.parts.values()
        for video, record in _deleted(part).items()
        if video not in store
    ]


def _recall(store: SingleStore, wanted: Set[str]) -> list[str]:
    there = {video: record for video, record in _deleted(store).items() if video in wanted}
    if there:
        store.log([asdict(record) for record in there.values()])
    # Of a purge the rows are zeros.
    erased = [video for video in there if not store.sound(video)]
    for video in erased:
        store.forget(video)
    return [video for video in there if video not in erased]


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
