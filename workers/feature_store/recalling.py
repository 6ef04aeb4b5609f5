"""Deleted videos that are wanted again: their rows stay in the store's files until they are erased."""

from collections.abc import Set
from dataclasses import asdict
from typing import Any

from workers.feature_store.format import VideoRecord, parse
from workers.feature_store.journal import Journal
from workers.feature_store.store import FeatureStore


def recall(store: FeatureStore, wanted: Set[str]) -> list[str]:
    """Put back those of the videos that a deletion took out and whose rows are whole; return their ids.

    What was taken out in another way stays out. store: open for appending.
    """
    there = {video: record for video, record in deleted(store).items() if video in wanted}
    found = sorted(there)
    if found:
        store.log([asdict(there[video]) for video in found])
    # Of a purge the rows are zeros.
    erased = [video for video in found if not store.sound(video)]
    for video in erased:
        store.forget(video)
    return [video for video in found if video not in erased]


def deleted(store: FeatureStore) -> dict[str, VideoRecord]:
    """Return what was noted of the videos that a deletion took out, purged ones too, by id."""
    last: dict[str, dict[str, Any]] = {}
    out: set[str] = set()
    for entry in Journal(store.path).read():
        video = entry.get("forget")
        if video is None:
            last[entry["id"]] = entry
            out.discard(entry["id"])
        elif entry.get("deleted"):
            out.add(video)
    return {video: parse(last[video], store.streams) for video in sorted(out) if video not in store}
