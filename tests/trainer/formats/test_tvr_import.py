import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import Mismatch
from spr_cli.corpus_import_tvr_ranking import command
from tests.trainer.formats import tvr
from tests.workers.ranker.factories import tiny_clip
from trainer.collection.annotations import load_corpus, load_queries
from trainer.collection.places import features_directory
from trainer.collection.queries import QueryFeatures
from trainer.formats.layout import Layout
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.formats.tvr_import import import_tvr_ranking
from workers.feature_store.store import FeatureStore
from workers.ranker.encoder.encoder import Encoder


def test_everything_arrives_as_stored(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    report = import_tvr_ranking(Layout(data), tmp_path / "c")
    assert (report.videos, report.new_videos, report.texts) == (6, 6, 12)
    assert report.queries == {"train": 6, "val": 3, "test": 3}
    store = FeatureStore.open(features_directory(tmp_path / "c"))
    assert store.dtype == np.float32
    assert {name: (stream.dim, stream.step) for name, stream in store.streams.items()} == {
        "frames": (16, 1.0),
        "i3d": (20, 1.5),
        "subtitles-bert": (24, 1.5),
        "segments": (16, 4.0),
    }
    for file, stream in (("clip", "frames"), ("video", "i3d"), ("subtitles", "subtitles-bert")):
        arrays = tvr.read_h5(data / tvr.LAYOUT[file])
        for video in tvr.VIDEOS:
            np.testing.assert_array_equal(store.rows(video, stream), arrays[video])
    assert store.record("zoo").duration == 26.9
    assert store.ids() == sorted(tvr.VIDEOS)
    pooled, tokens = (tvr.read_h5(data / tvr.LAYOUT[file]) for file in ("queries", "tokens"))
    features = QueryFeatures(tmp_path / "c" / "queries" / report.encoder)
    np.testing.assert_array_equal(features.pooled(["sentence 7"])[0], pooled["7"])
    np.testing.assert_array_equal(features.tokens("sentence 7"), tokens["7"])
    assert report.notes == [
        "tvr_i3d_rgb600_avg_cl-1.5.h5: 1 videos that nothing names were left out",
        "CLIP-ViT-L-14.hdf5: 2 queries that nothing names were left out",
        "query_bert.h5: 2 queries that nothing names were left out",
    ]


def test_flat_and_nested_annotations_arrive(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data")
    import_tvr_ranking(Layout(data), tmp_path / "c")
    annotations = tmp_path / "c" / "annotations"
    for split, name in (("train", "train_top40"), ("val", "val"), ("test", "test")):
        given = load_queries(data / tvr.LAYOUT["annotations"] / f"{name}.json")
        assert load_queries(annotations / f"{split}.json") == given
        assert load_corpus(annotations / f"corpus_{split}.json") == tvr.VIDEOS
    assert {m.relevance for q in load_queries(annotations / "val.json") for m in q.moments} == {4, 2.5, 0, 1}


def test_an_import_goes_on_where_it_stopped(tmp_path: Path) -> None:
    data, c = tvr.write_layout(tmp_path / "data"), tmp_path / "c"
    first = import_tvr_ranking(Layout(data), c)
    with FeatureStore.open(features_directory(c), "a") as store:
        expected = {video: np.array(store.rows(video, "frames")) for video in store.ids()}
        for video in store.ids()[2:]:
            store.forget(video)
    again = import_tvr_ranking(Layout(data), c)
    assert (first.new_videos, again.new_videos, again.encoder) == (6, 4, first.encoder)
    assert not any("replaced" in note for note in first.notes)
    assert "the queries that train, val, test had were replaced" in again.notes
    resumed = FeatureStore.open(features_directory(c))
    assert resumed.ids() == sorted(expected)
    for video, rows in expected.items():
        np.testing.assert_array_equal(resumed.rows(video, "frames"), rows)
    assert import_tvr_ranking(Layout(data), c).new_videos == 0


def test_places_are_those_of_sorted_names_whatever_the_order_of_a_file(tmp_path: Path) -> None:
    """The published code sorts the names of the corpus and of vidlen before it numbers them."""
    data = tvr.write_layout(tmp_path / "data", optional=True)
    import_tvr_ranking(Layout(data), tmp_path / "c")
    for folder, name in (("annotations", "video_corpus_sorted.json"), ("segments", "vidlen_seg_4s.json")):
        path = data / tvr.LAYOUT[folder] / name
        tvr.dump(path, dict(reversed(json.loads(path.read_text()).items())))
    report = import_tvr_ranking(Layout(data), tmp_path / "d")
    assert "video_corpus_sorted.json is not sorted; a video's number is its place when sorted" in report.notes
    for name in ("frames.bin", "journal.jsonl"):
        one, other = (features_directory(tmp_path / folder) / name for folder in "cd")
        assert one.read_bytes() == other.read_bytes()


def test_two_ids_of_one_sentence_share_its_features(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data")
    path = data / tvr.LAYOUT["annotations"] / "test.json"
    entries = json.loads(path.read_text())
    entries[1]["query"] = entries[0]["query"]
    tvr.dump(path, entries)
    with pytest.raises(Mismatch, match="queries 9 and 10 are both 'sentence 9'"):
        import_tvr_ranking(Layout(data), tmp_path / "c")
    pooled = tvr.read_h5(data / tvr.LAYOUT["queries"])
    tvr.change(data / tvr.LAYOUT["queries"], "10", pooled["9"] * 1.00001)
    assert import_tvr_ranking(Layout(data), tmp_path / "c").texts == 11


def test_the_command(tmp_path: Path) -> None:
    data, c = tvr.write_layout(tmp_path / "data", optional=True), tmp_path / "c"
    moved = tmp_path / "i3d.h5"
    (data / tvr.LAYOUT["video"]).rename(moved)
    arguments = [str(data), "--collection", str(c), "--file", f"video={moved}"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert "6 videos (6 new) with frames (16 wide), i3d (20 wide)" in result.stdout
    assert (
        "kept as given: train_top40_seg_4s.json, val_seg_4s.json, val_coarse_proposals.json" in result.stdout
    )
    result = CliRunner().invoke(command, [*arguments, "--json"])
    assert json.loads(result.stdout)["new_videos"] == 0


def test_a_named_encoder_takes_any_sentence(tmp_path: Path) -> None:
    data, clip = tvr.write_layout(tmp_path / "data"), str(tiny_clip(tmp_path / "clip"))
    report = import_tvr_ranking(Layout(data), tmp_path / "c", encoder=clip, device="cpu")
    store = FeatureStore.open(features_directory(tmp_path / "c"))
    assert store.meta["source"] == clip
    assert report.encoder == Encoder.load(clip, "cpu").fingerprint
    assert "build with --ranker none" in report.notes[-1]
    export_tvr_ranking(tmp_path / "c", tmp_path / "out", device="cpu", proposals=False)
    another = str(tiny_clip(tmp_path / "another", seed=1))
    with pytest.raises(Mismatch, match="were made by encoder"):
        import_tvr_ranking(Layout(tmp_path / "out"), tmp_path / "d", encoder=another, device="cpu")
