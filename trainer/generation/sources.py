"""What a version is built of, as 16 hex digits: equal input is found again and not built twice."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from engine.facts import date_of
from engine.files import fingerprint
from trainer.ingest.texts import DIRECTORY, whole
from trainer.ingest.texts import KEY as TEXTS
from workers.feature_store.store import FeatureStore

# Part of what names the sources: raise it when the same input would make other files.
RECIPE_VERSION = 6


def fingerprint_of(settings: Mapping[str, Any], store: FeatureStore, ids: Sequence[str]) -> str:
    """Return the fingerprint of settings, of the videos `ids`, and of their features."""
    head = {
        **settings,
        "version": RECIPE_VERSION,
        "streams": {name: dataclasses.asdict(stream) for name, stream in store.streams.items()},
        "dtype": np.dtype(store.dtype).name,
    }
    return fingerprint(json.dumps(head, sort_keys=True).encode(), *(_identity(store, one) for one in ids))


def _identity(store: FeatureStore, video: str) -> bytes:
    """Return what tells a video from others: its rows and what is known of it, not the file's bytes."""
    record = store.record(video)
    rows = {}
    for name in sorted(store.streams):
        found = np.ascontiguousarray(store.rows(video, name))
        rows[name] = [len(found), hashlib.sha256(found.tobytes()).hexdigest()]
    about = [sorted(record.info.get("labels", ())), date_of(record.info)]
    # Built without what is lost, a version is not the one that has it.
    if record.info.get(TEXTS) and whole(store.path.parents[1], record.info):
        about.append(record.info[TEXTS])
    return json.dumps([video, record.uri, record.duration, rows, about]).encode()


def lost_texts(store: FeatureStore, ids: Sequence[str]) -> list[str]:
    """Return a note of videos whose texts are damaged, or went before a rollback brought the videos back."""
    collection = store.path.parents[1]
    lost = [video for video in ids if not whole(collection, store.record(video).info)]
    if not lost:
        return []
    some = ", ".join(lost[:3]) + (", ..." if len(lost) > 3 else "")
    what = f"the texts of {len(lost)} videos are gone from {collection / DIRECTORY}, or damaged"
    return [f"{what} ({some}): ingest them again, then build"]
