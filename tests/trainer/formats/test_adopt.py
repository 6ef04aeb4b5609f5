from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput, NotFound
from spr_cli.corpus import command as corpus
from trainer.collection.annotations import JudgedMoment, JudgedQuery, load_queries, save_corpus, save_queries
from trainer.formats.adopt import adopt_annotations
from workers.feature_store.store import FeatureStore, Stream


def write_split(folder: Path, split: str, video: str) -> list[JudgedQuery]:
    moment = JudgedMoment(1, video, 0.5, 3.25, 10.0, "a ball", 0.9, None if split == "train" else 3.0)
    queries = [JudgedQuery(1, "a red ball", (moment,))]
    save_queries(folder / f"{split}.json", queries)
    save_corpus(folder / f"corpus_{split}.json", {video: 10.0})
    return queries


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    with FeatureStore.create(tmp_path / "c/features/f", {"frames": Stream(2, 1.0)}) as store:
        for video in ("a", "b"):
            store.append(
                video, {"frames": np.ones((10, 2), np.float16)}, uri=video, sha256="0", duration=10.0
            )
    return tmp_path / "c"


def test_splits_are_copied_as_they_are(tmp_path: Path, collection: Path) -> None:
    train, test = write_split(tmp_path / "w", "train", "a"), write_split(tmp_path / "w", "test", "b")
    counts = {"train": (1, 1, 1), "test": (1, 1, 1)}
    assert adopt_annotations(tmp_path / "w", collection) == (counts, [])
    assert load_queries(collection / "annotations/train.json") == train
    assert load_queries(collection / "annotations/test.json") == test


def test_queries_that_are_replaced_are_told(tmp_path: Path, collection: Path) -> None:
    write_split(tmp_path / "w", "train", "a")
    adopt_annotations(tmp_path / "w", collection)
    write_split(tmp_path / "w", "test", "b")
    call = ["annotate", str(tmp_path / "w"), "--collection", str(collection)]
    first, second = (CliRunner().invoke(corpus, call).output for _ in range(2))
    assert "note: the queries that train had were replaced\n" in first
    assert "note: the queries that train, test had were replaced\n" in second


def test_a_video_without_features_is_refused_and_nothing_is_written(tmp_path: Path, collection: Path) -> None:
    write_split(tmp_path / "w", "train", "a")
    write_split(tmp_path / "w", "test", "unseen")
    with pytest.raises(InvalidInput, match="unseen"):
        adopt_annotations(tmp_path / "w", collection)
    assert not (collection / "annotations").exists()


def test_a_folder_without_splits_is_refused(tmp_path: Path, collection: Path) -> None:
    with pytest.raises(NotFound, match=r"train\.json"):
        adopt_annotations(tmp_path, collection)
