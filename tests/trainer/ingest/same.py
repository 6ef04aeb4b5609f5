"""Whether two collections hold the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from workers.feature_store.store import FeatureStore


def opened(collection: Path) -> FeatureStore:
    return FeatureStore.open(next((collection / "features").iterdir()))


def check_same(collection: Path, whole: Path, killed: bool = False) -> None:
    """Ids, records, rows to the bit, texts and pictures; not when a video was added, nor where rows lie.

    killed: a writer may have been, of whose part nobody was the writer afterwards.
    """
    found, wanted = opened(collection), opened(whole)
    assert found.ids() == wanted.ids()
    for video in wanted.ids():
        ours, theirs = (
            replace(store.record(video), streams={}, info=store.record(video).info | {"added": 0})
            for store in (found, wanted)
        )
        assert ours == theirs
        for stream in wanted.streams:
            np.testing.assert_array_equal(found.rows(video, stream), wanted.rows(video, stream))
    assert all(killed and "a write was cut short" in notice for notice in found.notices)
    for folder in ("texts", "pictures"):
        files = [{f.name: f.read_bytes() for f in (c / folder).glob("*")} for c in (collection, whole)]
        assert files[0].keys() >= files[1].keys()
        assert {name: files[0][name] for name in files[1]} == files[1]
