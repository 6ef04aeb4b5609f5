"""Published data in and out again."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tests.trainer.formats import tvr
from trainer.collection.annotations import load_queries
from trainer.collection.places import features_directory
from trainer.formats.layout import Layout
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.formats.tvr_import import import_tvr_ranking
from workers.feature_store.store import FeatureStore


def test_published_data_comes_back_as_it_was(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    import_tvr_ranking(Layout(data), tmp_path / "c")
    made = export_tvr_ranking(tmp_path / "c", tmp_path / "out", device="cpu")
    assert (made.arch, made.projector, made.videos) == ("CLIP-ViT-L-14", "given", 6)
    for file in ("clip", "video", "subtitles", "queries", "tokens"):
        given, written = (tvr.read_h5(root / tvr.LAYOUT[file]) for root in (data, tmp_path / "out"))
        names = given.keys() - {"not_in_corpus", "12", "13"}
        assert written.keys() == names
        for name in names - {f"{video}-mask" for video in tvr.VIDEOS}:
            np.testing.assert_array_equal(written[name], given[name])
            assert written[name].dtype == np.float32
    assert written_mask(tmp_path / "out", "zoo").tolist() == [1, 1, 1, 0, 0, 0, 0] + [1] * 11
    for folder in ("segments", "coarse"):
        for path in (data / tvr.LAYOUT[folder]).iterdir():
            again = tmp_path / "out" / tvr.LAYOUT[folder] / path.name
            assert json.loads(again.read_text()) == json.loads(path.read_text())
    for path in (data / tvr.LAYOUT["segment_features"]).iterdir():
        again = tmp_path / "out" / tvr.LAYOUT["segment_features"] / path.name
        np.testing.assert_array_equal(np.load(again), np.load(path))
    for name in ("train_top40", "val", "test"):
        given_queries, again_queries = (
            load_queries(root / tvr.LAYOUT["annotations"] / f"{name}.json")
            for root in (data, tmp_path / "out")
        )
        assert given_queries == again_queries
    corpus = json.loads(
        (tmp_path / "out" / tvr.LAYOUT["annotations"] / "video_corpus_sorted.json").read_text()
    )
    assert corpus == tvr.VIDEOS
    assert list(corpus) == sorted(corpus)
    import_tvr_ranking(Layout(tmp_path / "out"), tmp_path / "c2")
    one, other = (features_directory(tmp_path / name) for name in ("c", "c2"))
    for name in ("frames.bin", "i3d.bin", "subtitles-bert.bin", "segments.bin"):
        assert (one / name).read_bytes() == (other / name).read_bytes()
    assert one.name == other.name


def written_mask(root: Path, video: str) -> Any:
    return tvr.read_h5(root / tvr.LAYOUT["subtitles"])[f"{video}-mask"]


def test_all_that_was_kept_goes_out_again(tmp_path: Path) -> None:
    """Files of another context or number of moments, and without any retrieval."""
    data = tvr.write_layout(tmp_path / "data", optional=True)
    folder = data / tvr.LAYOUT["coarse"]
    (folder / "train_top40_pos_neg_samples_context_8.json").rename(
        folder / "train_top40_pos_neg_samples_context_4.json"
    )
    import_tvr_ranking(Layout(data, context=4), tmp_path / "c")
    (features,) = (tmp_path / "c" / "features").iterdir()
    with FeatureStore.open(features, "a") as store:
        empty = {name: np.zeros((0, stream.dim), np.float32) for name, stream in store.streams.items()}
        store.append("unseen", empty, duration=1.0)
    made = export_tvr_ranking(tmp_path / "c", tmp_path / "out", device="cpu", proposals=False)
    assert made.notes[0] == "1 videos without a frame were left out"
    assert not any("segments are retrieved" in note for note in made.notes)
    for name in ("coarse", "segments"):
        given, again = (root / tvr.LAYOUT[name] for root in (data, tmp_path / "out"))
        for path in given.iterdir():
            assert json.loads((again / path.name).read_text()) == json.loads(path.read_text())


def test_what_was_kept_beside_other_training_moments_does_not_go_out(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    import_tvr_ranking(Layout(data), tmp_path / "c")
    export_tvr_ranking(tmp_path / "c", tmp_path / "out", top_k=1, device="cpu", proposals=False)
    names = {path.name for path in (tmp_path / "out" / tvr.LAYOUT["coarse"]).iterdir()}
    assert names == {"val_coarse_proposals.json"}
    import_tvr_ranking(Layout(tmp_path / "out", top_k=1), tmp_path / "again")
