from pathlib import Path

import numpy as np
import pytest

from engine.errors import Mismatch, NotFound
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.stores.features import DIRECTORY, FRAMES, SUBTITLES, FeatureMaps, write_context

STREAMS = {FRAMES: Stream(4, 1.0), SUBTITLES: Stream(3, 1.0)}


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    rng = np.random.default_rng(0)
    with FeatureStore.create(tmp_path / "features", STREAMS, "float16") as writer:
        for video, rows in {"b": 5, "a": 2, "c": 7}.items():
            arrays = {name: rng.normal(size=(rows, stream.dim)) for name, stream in STREAMS.items()}
            writer.append(video, arrays, duration=rows - 0.5)
    return FeatureStore.open(tmp_path / "features")


def test_written_and_gathered_contexts_are_the_same(store: FeatureStore, tmp_path: Path) -> None:
    ids = ["a", "b", "c"]
    write_context(tmp_path / "generation" / DIRECTORY, store, ids)
    written, gathered = (
        FeatureMaps.open(tmp_path / "generation"),
        FeatureMaps.from_feature_store(store, ids),
    )
    assert len(written) == 3
    assert isinstance(written.rows(FRAMES), np.memmap)
    np.testing.assert_array_equal(written.durations, [1.5, 4.5, 6.5])
    for name in STREAMS:
        np.testing.assert_array_equal(written.starts(name), [0, 2, 7])
        np.testing.assert_array_equal(written.counts(name), [2, 5, 7])
        np.testing.assert_array_equal(written.rows(name), gathered.rows(name))
        assert written.rows(name).dtype == np.float16
        assert written.step(name) == 1.0
        for ordinal, video in enumerate(ids):
            np.testing.assert_array_equal(written.video(ordinal, name), store.rows(video, name))


def test_ordinals_follow_the_ids_given(store: FeatureStore) -> None:
    chosen = FeatureMaps.from_feature_store(store, ["c", "a"])
    np.testing.assert_array_equal(chosen.video(0, FRAMES), store.rows("c", FRAMES))
    np.testing.assert_array_equal(chosen.durations, [6.5, 1.5])


def test_an_empty_collection_opens(store: FeatureStore, tmp_path: Path) -> None:
    write_context(tmp_path / "generation" / DIRECTORY, store, [])
    assert len(FeatureMaps.open(tmp_path / "generation")) == 0


def test_missing_and_broken_files_are_refused(store: FeatureStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no ranker features"):
        FeatureMaps.open(tmp_path)
    write_context(tmp_path / DIRECTORY, store, ["a", "b"])
    np.save(tmp_path / DIRECTORY / "frames.offsets.npy", np.array([0, 2, 6]))
    with pytest.raises(Mismatch, match="does not fit"):
        FeatureMaps.open(tmp_path)
