"""A part keeps what the feature store says of its videos; from parts the store is made again."""

from pathlib import Path

import numpy as np
import pytest

from engine import parts, staging
from engine.catalogue import PartCatalogue
from engine.entries import PartEntry
from tests.trainer.library.tiny import STREAMS, about_part, without, write_version
from trainer.library.records import merge_records, restore_features, write_records
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.stores.features import DIRECTORY, write_context


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    streams = {name: Stream(entry.dim, entry.step) for name, entry in STREAMS.items()}
    random = np.random.default_rng(0)
    path = tmp_path / "c" / "features" / "enc"
    with FeatureStore.create(path, streams, meta={"encoder": "clip", "source": "x"}) as made:
        for video in "abcd":
            frames = random.normal(size=(8, 4))
            made.append(video, {"frames": frames}, f"file:///{video}.mp4", video * 64, 8.0, {"size": 7})
    return FeatureStore.open(path)


def part_of(collection: Path, store: FeatureStore, ids: list[str]) -> PartEntry:
    with staging.staged(collection) as made:
        count = len(ids)
        columns = np.full(count, 8.0), np.full(count, 2, np.int32)
        PartCatalogue(ids, [store.record(video).uri for video in ids], *columns).write(made.path)
        write_context(made.path / DIRECTORY, store, ids)
        write_records(made.path, store, ids)
        made.id = parts.seal(made.path, about_part(count)).id
    return parts.entry_of(collection, made.id)


def test_the_store_comes_back_from_the_parts(tmp_path: Path, store: FeatureStore) -> None:
    collection = tmp_path / "c"
    listed = [without(part_of(collection, store, ["a", "c"]), 0), part_of(collection, store, ["b", "d"])]
    version = write_version(collection, listed)
    assert restore_features(collection, version) == 0
    store.path.rename(tmp_path / "gone")
    assert restore_features(collection, version) == 3
    found, before = FeatureStore.open(store.path), FeatureStore.open(tmp_path / "gone")
    assert (found.ids(), found.meta) == (["b", "c", "d"], before.meta)
    for video in found.ids():
        old, new = before.record(video), found.record(video)
        assert (new.uri, new.sha256, new.duration, new.info) == (old.uri, old.sha256, old.duration, old.info)
        assert np.array_equal(found.rows(video, "frames"), before.rows(video, "frames"))


def test_records_of_several_parts_are_merged(tmp_path: Path, store: FeatureStore) -> None:
    for name, ids in (("one", ["a", "c"]), ("two", ["b", "d"]), ("all", ["b", "c", "d"]), ("made", [])):
        (tmp_path / name).mkdir()
        write_records(tmp_path / name, store, ids)
    merge_records(tmp_path / "made", [(tmp_path / "one", ["c"]), (tmp_path / "two", ["b", "d"])])
    assert (tmp_path / "made" / "records.jsonl").read_bytes() == (
        tmp_path / "all" / "records.jsonl"
    ).read_bytes()
