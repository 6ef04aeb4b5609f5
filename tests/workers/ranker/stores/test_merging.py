"""Compaction copies rows bit by bit, in the order of the new part."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import Mismatch
from engine.files import read_json
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.stores.contexts import EncodedStore, write_encoded
from workers.ranker.stores.features import FRAMES, SUBTITLES, FeatureMaps, write_context
from workers.ranker.stores.merging import merge_context, merge_encoded

SECONDS = {"a": 5, "b": 3, "c": 7, "d": 1, "e": 4, "f": 2}
STREAMS = {FRAMES: Stream(4, 1.0), SUBTITLES: Stream(3, 1.0)}
HIDDEN = 8


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    rng = np.random.default_rng(0)
    with FeatureStore.create(tmp_path / "features", STREAMS, "float16") as writer:
        for video, rows in SECONDS.items():
            arrays = {name: rng.normal(size=(rows, stream.dim)) for name, stream in STREAMS.items()}
            writer.append(video, arrays, duration=rows - 0.5)
    return FeatureStore.open(tmp_path / "features")


def write(part: Path, store: FeatureStore, ids: str, dtype: Any, ranker: str = "abc") -> Path:
    write_context(part / "context", store, list(ids))
    made = []
    for video in ids:
        rng = np.random.default_rng(ord(video))
        made.append(tuple(rng.normal(size=(2, SECONDS[video], HIDDEN)).astype(np.float32)))
    write_encoded(part / "encoded", HIDDEN, 1.0, dtype, made, ranker)
    return part


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".npy"}


@pytest.mark.parametrize("dtype", ["float16", "int8", "int5"])
def test_a_merged_part_is_the_one_that_a_build_writes(
    tmp_path: Path, store: FeatureStore, dtype: Any
) -> None:
    one, other = (write(tmp_path / ids, store, ids, dtype) for ids in ("bef", "acd"))
    built, merged = write(tmp_path / "built", store, "acef", dtype), tmp_path / "merged"
    # Kept: e and f of the first, a and c of the second.
    kept = [(one, np.array([1, 2], np.int32)), (other, np.array([0, 1], np.int32))]
    order = np.array([2, 3, 0, 1])
    merge_context(merged / "context", kept, order)
    merge_encoded(merged / "encoded", kept, order)
    for folder in ("context", "encoded"):
        assert content(merged / folder) == content(built / folder)
    for name in ("context/streams.json", "encoded/encoded.json"):
        assert read_json(merged / name) == read_json(built / name)
    assert len(FeatureMaps.open(merged)) == len(EncodedStore.open(merged)) == 4


def test_parts_that_do_not_fit_together_are_refused(tmp_path: Path, store: FeatureStore) -> None:
    one = write(tmp_path / "one", store, "ab", "int8")
    other = write(tmp_path / "other", store, "cd", "int8", ranker="other")
    kept = [(part, np.array([0, 1], np.int32)) for part in (one, other)]
    with pytest.raises(Mismatch, match="differ"):
        merge_encoded(tmp_path / "merged" / "encoded", kept, np.arange(4))
    streams = other / "context" / "streams.json"
    streams.write_text(streams.read_text().replace("float16", "float32"))
    with pytest.raises(Mismatch, match=r"streams\.json is not as in"):
        merge_context(tmp_path / "merged" / "context", kept, np.arange(4))
