"""Deleted videos that are wanted again: their rows stay in the store's files until they are erased."""

from collections.abc import Set
from dataclasses import asdict
from typing import Any

from workers.feature_store.format import parse
from workers.feature_store.journal import Journal
from workers.feature_store.single import SingleStore
from workers.feature_store.store import FeatureStore


def recall(store: FeatureStore, wanted: Set[str]) -> list[str]:
    """Put back those of the videos that a deletion took out and whose rows are whole; return their ids.

    What was taken out in another way stays out. store: open for appending, whole.
    """
    found: set[str] = set()
    for number, part in list(store.parts.items()):
        if lost := _deleted(part, {video for video in wanted if video not in store}):
            found.update(_put_back(store.writer(number), lost))
    return sorted(found)


def _deleted(store: SingleStore, wanted: Set[str]) -> dict[str, dict[str, Any]]:
    """Return the last entries of those of the videos that a deletion took out."""
    last: dict[str, dict[str, Any]] = {}
    deleted: set[str] = set()
    for entry in Journal(store.path).read():
        video = entry.get("forget")
        if video is None:
            last[entry["id"]] = entry
            deleted.discard(entry["id"])
        elif entry.get("deleted"):
            deleted.add(video)
    return {video: last[video] for video in sorted(wanted & deleted)}


def _put_back(store: SingleStore, lost: dict[str, dict[str, Any]]) -> list[str]:
    found = list(lost)
    store.log([asdict(parse(lost[video], store.streams)) for video in found])
    # Of a purge the rows are zeros.
    erased = [video for video in found if not store.sound(video)]
    for video in erased:
        store.forget(video)
    return [video for video in found if video not in erased]
