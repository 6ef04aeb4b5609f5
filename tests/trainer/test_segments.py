from pathlib import Path

import numpy as np
import pytest
import torch

from tests.trainer.built import ENCODER, FRAMES, collection, mean_pooled
from trainer import segments
from trainer.segments import deal, embed, segment_counts
from workers.ranker.projector import MeanPool
from workers.store import FeatureStore


def test_videos_are_dealt_evenly_and_alike_every_time() -> None:
    counts = np.random.default_rng(0).integers(1, 50, 200).astype(np.int32)
    dealt = deal(counts, 7)
    loads = np.bincount(dealt, counts, minlength=7)
    assert loads.max() - loads.min() <= counts.max()
    np.testing.assert_array_equal(dealt, deal(counts, 7))


def test_more_videos_than_shards_leave_no_shard_empty() -> None:
    assert set(deal(np.ones(5, np.int32), 5).tolist()) == set(range(5))


def test_the_last_segment_may_be_short(tmp_path: Path) -> None:
    store = FeatureStore.open(collection(tmp_path, {"a": 1, "b": 4, "c": 5}) / "features" / ENCODER)
    assert segment_counts(store, ["a", "b", "c"], 4).tolist() == [1, 1, 2]


def test_batches_of_any_size_make_the_same_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FeatureStore.open(collection(tmp_path) / "features" / ENCODER)
    expected = np.stack(list(mean_pooled(tmp_path).values()))
    for batch in (1, 5, 1024):
        monkeypatch.setattr(segments, "BATCH", batch)
        blocks = list(embed(store, sorted(FRAMES), MeanPool(), torch.device("cpu")))
        assert len(blocks) > 1 or batch == 1024
        np.testing.assert_allclose(np.concatenate(blocks), expected, atol=1e-5)
