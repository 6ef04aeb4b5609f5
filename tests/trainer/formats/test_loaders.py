"""An export read by loaders that know the published code and nothing of ours."""

import json
from pathlib import Path

import numpy as np
import pytest

from tests import numeric
from tests.trainer.formats import loaders, tvr
from tests.trainer.ranker.world import DIM, WIDTH, make_collection
from trainer.formats.layout import Layout
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.formats.tvr_import import import_tvr_ranking

LENGTH, CLIPS = 4, loaders.MAX_CLIPS


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> loaders.Data:
    """An export of an ingested collection: a row a second, other widths than the published ones."""
    folder = tmp_path_factory.mktemp("loaders")
    made = make_collection(folder / "c", train=6, val=2)
    path = made / "annotations" / "val.json"
    entries = [{**entry, "query_id": entry["query_id"] + 1000} for entry in json.loads(path.read_text())]
    path.write_text(json.dumps(entries))
    export_tvr_ranking(made, folder / "out", device="cpu")
    return loaders.Data(folder / "out", arch="CLIP-other", clip="1.0")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> loaders.Data:
    """An export of an import of published files that brought no proposals and no segments."""
    folder = tmp_path_factory.mktemp("loaders")
    import_tvr_ranking(Layout(tvr.write_layout(folder / "data")), folder / "c")
    export_tvr_ranking(folder / "c", folder / "out", device="cpu")
    return loaders.Data(folder / "out")


@pytest.fixture(params=["native", "published"])
def data(request: pytest.FixtureRequest) -> loaders.Data:
    found: loaders.Data = request.getfixturevalue(request.param)
    return found


def test_stage_1_trains_on_it(data: loaders.Data) -> None:
    batch = loaders.stage1_train(data)
    n, length, dim = batch["frames"].shape
    assert n > 4
    assert (length, batch["masks"].min(), batch["queries"].shape) == (LENGTH, 1, (n, dim))
    assert batch["frames"].dtype == batch["queries"].dtype == np.float32
    assert (batch["scores"].diagonal() >= 0.3).all()
    assert batch["scores"].max() <= 1
    every = loaders.corpus(data)
    assert {rows.dtype.name for rows in every.values()} == {"float32"}
    names = {f"{video}_{number}" for video, rows in every.items() for number in range(len(rows))}
    truth = loaders.stage1_truth(data, "val")
    assert any(truth.values())
    assert all(relevant <= names for relevant in truth.values())


def test_stage_2_indexes_it(data: loaders.Data) -> None:
    vectors, places = loaders.stage2(data)
    assert len(vectors) == len(places)
    assert vectors.dtype == np.float32
    # Every place is the segment that its vector was made of: the mean of its unit frames.
    every = loaders.corpus(data)
    frames = np.stack([every[video][number] for video, number in places])
    unit = frames / np.linalg.norm(frames, axis=2, keepdims=True)
    numeric.close(vectors, unit.mean(axis=1))


def test_stage_3_trains_on_it(data: loaders.Data) -> None:
    rows = loaders.stage3_train(data)
    assert len(rows) > 10
    assert {row["video"].dtype.name for row in rows} == {"float32"}
    for row in rows:
        first, last = row["labels"]
        # None of the labels that the published code cannot train with.
        assert 0 <= first <= last < row["cap"]
        assert row["mask"].sum() == row["cap"]
        assert row["video"].shape[0] == row["sub"].shape[0] == CLIPS
        assert 1 <= len(row["tokens"]) <= loaders.MAX_TOKENS


def test_stage_3_ranks_it(data: loaders.Data) -> None:
    for split in ("val", "test"):
        if split == "test" and data.arch == "CLIP-other":
            continue
        answers = loaders.stage3_eval(data, split)
        assert all(answers.values())
        for windows in answers.values():
            assert all(one["mask"].any() for one in windows)


def test_widths_are_those_of_the_features(native: loaders.Data, published: loaders.Data) -> None:
    for data, widths in ((native, (DIM, DIM, WIDTH)), (published, (tvr.I3D, tvr.SPOKEN, tvr.SPOKEN))):
        row = loaders.stage3_train(data)[0]
        assert (row["video"].shape[1], row["sub"].shape[1], row["tokens"].shape[1]) == widths


def test_the_order_of_predictions_is_their_rank(data: loaders.Data) -> None:
    coarse = loaders.read(data.ranking / "coarse_pred" / "val_coarse_proposals.json")
    for rows in coarse.values():
        assert [sorted(row) for row in rows] == [["moment_rank", "timestamp", "video_name"]] * len(rows)
        ranks = [row["moment_rank"] for row in rows]
        assert ranks[0] == 0
        assert ranks == sorted(set(ranks))
        assert all(row["timestamp"][0] < row["timestamp"][1] for row in rows)


def test_loaders_read_the_data_that_was_given_too(tmp_path: Path) -> None:
    """The same loaders on files that no export made: they read the layout, not our way of writing it."""
    given = loaders.Data(tvr.write_layout(tmp_path / "data", optional=True))
    assert loaders.stage1_train(given)["frames"].shape == (6, LENGTH, tvr.FRAMES)
    assert len(loaders.stage3_train(given)) == 24
    vectors, places = loaders.stage2(given)
    assert (len(vectors), places[-1]) == (len(places), ("zoo", 6))
