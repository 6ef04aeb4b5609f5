import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput, Mismatch, NotFound
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
    resumed = FeatureStore.open(features_directory(c))
    assert resumed.ids() == sorted(expected)
    for video, rows in expected.items():
        np.testing.assert_array_equal(resumed.rows(video, "frames"), rows)
    assert import_tvr_ranking(Layout(data), c).new_videos == 0


CLIP, VIDEO, SUBTITLES = (tvr.LAYOUT[name] for name in ("clip", "video", "subtitles"))


@pytest.mark.parametrize(
    ("file", "name", "array", "expected"),
    [
        (CLIP, "zoo", None, r"hdf5: 1 videos missing: zoo"),
        (
            CLIP,
            "zoo",
            np.ones((29, 16)),
            r"1 videos with rows unlike .* every 1 s: zoo \(29 rows for 26\.9 s\)",
        ),
        (VIDEO, "zoo", np.ones((20, 20)), r"every 1\.5 s: zoo \(20 rows"),
        (SUBTITLES, "zoo", None, r"w_sub_query_max_cl-1\.5\.h5: 1 videos missing: zoo"),
        (CLIP, "zoo", np.ones((27, 15)), r"widths \[15, 16\]"),
        (
            SUBTITLES,
            "zoo-mask",
            np.ones(17),
            r"1 videos with a mask of another length: zoo \(\(17,\) for 18 rows\)",
        ),
        (tvr.LAYOUT["queries"], "7", None, r"1 queries missing: 7"),
        (tvr.LAYOUT["tokens"], "7", np.ones(24), r"1 with another number of axes than 2, such as '7'"),
    ],
)
def test_features_that_differ_are_named(
    tmp_path: Path, file: str, name: str, array: Any, expected: str
) -> None:
    data = tvr.write_layout(tmp_path / "data")
    tvr.change(data / file, name, array)
    with pytest.raises((Mismatch, InvalidInput), match=expected):
        import_tvr_ranking(Layout(data), tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize(
    ("folder", "file", "change", "expected"),
    [
        ("segments", "vidlen_seg_4s.json", {"zoo": 8}, r"segments of 4 s: zoo \(8 for 28 frames\)"),
        ("segments", "vidlen_seg_4s.json", {"yak": 8}, r"1 videos that are not in the corpus: yak"),
        (
            "annotations",
            "video_corpus_sorted.json",
            {"a": 5, "b": 5, "c": 5, "d": 5},
            r"4 videos missing: a, b, c,",
        ),
        ("coarse", "val_coarse_proposals.json", {"99": []}, "1 queries that val lacks: 99"),
    ],
)
def test_lists_that_differ_are_named(
    tmp_path: Path, folder: str, file: str, change: dict[str, Any], expected: str
) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    path = data / tvr.LAYOUT[folder] / file
    tvr.dump(path, {**json.loads(path.read_text()), **change})
    with pytest.raises(Mismatch, match=expected):
        import_tvr_ranking(Layout(data), tmp_path / "c")


def test_segment_files_that_differ_are_named(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    path = data / tvr.LAYOUT["segments"] / "val_seg_4s.json"
    entries = json.loads(path.read_text())
    entries[0]["relevant_segment"][0]["segment_idx"] = 7
    tvr.dump(path, entries)
    with pytest.raises(Mismatch, match=r"1 segments that no video has: zoo_7"):
        import_tvr_ranking(Layout(data), tmp_path / "c")
    entries[0]["relevant_segment"][0].pop("segment_idx")
    tvr.dump(path, entries)
    with pytest.raises(InvalidInput, match="no segment annotation"):
        import_tvr_ranking(Layout(data), tmp_path / "c")
    (data / tvr.LAYOUT["segment_features"] / "zoo.npy").unlink()
    with pytest.raises(Mismatch, match="seg_feats: 1 videos of the corpus missing: zoo"):
        import_tvr_ranking(Layout(data), tmp_path / "c")


Change = Callable[[Any], Any]
SEGMENTS, COARSE = "segments/val_seg_4s.json", "coarse/val_coarse_proposals.json"
SAMPLES = "coarse/train_top40_pos_neg_samples_context_8.json"
ZOO = {"video_name": "zoo", "timestamp": [0, 8]}


def moment(video: str, rank: int) -> dict[str, Any]:
    return {**ZOO, "video_name": video, "moment_rank": rank}


@pytest.mark.parametrize(
    ("file", "change", "expected"),
    [
        (SEGMENTS, lambda v: v[1:], r"1 queries of val missing: 6; mend it, or take it away"),
        (SEGMENTS, lambda v: [*v, {**v[0], "query_id": 70}], r"1 queries that val lacks: 70"),
        (SEGMENTS, lambda v: [*v, v[2]], r"1 queries given twice: 8"),
        (
            SEGMENTS,
            lambda v: [{**v[0], "query_id": 7}, {**v[1], "query_id": 6}, v[2]],
            r"2 queries with other sentences than in val: 6 \('sentence 7' for 'sentence 6'\), 7 \(",
        ),
        (COARSE, lambda v: dict(list(v.items())[1:]), r"1 queries of val missing: 6"),
        (COARSE, lambda v: {**v, "6": [moment("yak", 0)]}, r"1 videos that are not in the corpus: yak"),
        (
            COARSE,
            lambda v: {**v, "7": [moment("zoo", 0), moment("show_b_clip_00", 2), moment("zoo", 1)]},
            r"1 queries whose predictions are not in the order of moment_rank, from 0 on: "
            r"query 7 has show_b_clip_00 \(rank 2\) for zoo at place 1",
        ),
        (COARSE, lambda v: {**v, "8": [moment("zoo", 1)]}, r"query 8 begins with rank 1"),
        (COARSE, lambda v: {**v, "8": [ZOO]}, r"holds no coarse predictions \(KeyError\('moment_rank'\)\)"),
        (COARSE, list, r"holds no coarse predictions"),
        (SAMPLES, lambda v: {**v, "pos": {**v["pos"], "99": {}}}, r"1 queries that train lacks: 99"),
        (
            SAMPLES,
            lambda v: {**v, "pos": {k: x for k, x in v["pos"].items() if k > "1"}},
            r"2 queries of train missing: 0, 1",
        ),
        (SAMPLES, lambda v: {**v, "neg": {"0": []}}, r"5 queries of train missing: 1, 2, 3, \.\.\.; mend"),
        (SAMPLES, lambda v: {"pos": v["pos"]}, r"holds no training samples \(KeyError\('neg'\)\)"),
        (
            SAMPLES,
            lambda v: {**v, "pos": {**v["pos"], "3": {"9": [ZOO]}}},
            r"1 pairs \(query/pair_id\) that train lacks: 3/9",
        ),
        (
            SAMPLES,
            lambda v: {**v, "pos": {**v["pos"], "3": {str(pair): [ZOO] for pair in range(4)}}},
            r"positives \(query/pair_id\) of another video than their moment's: 3/\d \(zoo\)",
        ),
        (
            SAMPLES,
            lambda v: {**v, "neg": {**v["neg"], "3": [{**ZOO, "video_name": "yak"}]}},
            r"1 videos that are not in the corpus: yak",
        ),
        ("segments/vidlen_seg_4s.json", lambda v: [v], r"is no object of videos"),
        (
            "annotations/train_top40.json",
            lambda v: [{**v[0], "relevant_moment": v[0]["relevant_moment"][:1] * 2}, *v[1:]],
            r"1 pairs \(query/pair_id\) cannot be told apart: 0/0",
        ),
    ],
)
def test_given_files_that_do_not_fit_are_refused(
    tmp_path: Path, file: str, change: Change, expected: str
) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    folder, name = file.split("/")
    path = data / tvr.LAYOUT[folder] / name
    tvr.dump(path, change(json.loads(path.read_text())))
    with pytest.raises((Mismatch, InvalidInput), match=expected):
        import_tvr_ranking(Layout(data), tmp_path / "c")
    assert not (tmp_path / "c").exists()


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


@pytest.mark.parametrize(
    ("folder", "name"), [("annotations", "video_corpus_sorted.json"), ("segments", "vidlen_seg_4s.json")]
)
def test_a_name_that_is_there_twice_is_refused(tmp_path: Path, folder: str, name: str) -> None:
    data = tvr.write_layout(tmp_path / "data", optional=True)
    path = data / tvr.LAYOUT[folder] / name
    path.write_text(path.read_text().replace("{", '{"zoo": 7, ', 1))
    with pytest.raises(Mismatch, match=rf"{name}: 1 names twice: zoo"):
        import_tvr_ranking(Layout(data), tmp_path / "c")


def test_values_that_belong_to_other_names_are_refused(tmp_path: Path) -> None:
    """Durations, counts and segment features put beside the wrong names, as a shift of a list would."""
    for case, (folder, name) in enumerate(
        [("annotations", "video_corpus_sorted.json"), ("segments", "vidlen_seg_4s.json")]
    ):
        data = tvr.write_layout(tmp_path / f"data{case}", optional=True)
        path = data / tvr.LAYOUT[folder] / name
        value = json.loads(path.read_text())
        shifted = [*list(value.values())[1:], next(iter(value.values()))]
        tvr.dump(path, dict(zip(value, shifted, strict=True)))
        with pytest.raises(Mismatch, match=r"6 videos with .* show_a_clip_00 \(.*\), show_a_clip_01 \("):
            import_tvr_ranking(Layout(data), tmp_path / "c")
    data = tvr.write_layout(tmp_path / "data", optional=True)
    one, other = (data / tvr.LAYOUT["segment_features"] / f"{name}.npy" for name in ("zoo", "show_b_clip_01"))
    first, second = np.load(one), np.load(other)
    np.save(one, second)
    np.save(other, first)
    with pytest.raises(Mismatch, match=r"number of segments: show_b_clip_01 \(7, 16\), zoo \(2, 16\)"):
        import_tvr_ranking(Layout(data), tmp_path / "c")


def test_query_features_of_another_encoder_are_refused(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data")
    for name, row in tvr.read_h5(data / tvr.LAYOUT["queries"]).items():
        tvr.change(data / tvr.LAYOUT["queries"], name, row[:8])
    with pytest.raises(Mismatch, match=r"has vectors of 8 numbers and .* of 16; both must be of one encoder"):
        import_tvr_ranking(Layout(data), tmp_path / "c")


def test_records_of_other_videos_are_refused(tmp_path: Path) -> None:
    import_tvr_ranking(Layout(tvr.write_layout(tmp_path / "data")), tmp_path / "c")
    export_tvr_ranking(tmp_path / "c", tmp_path / "out", device="cpu", proposals=False)
    path = tmp_path / "out" / "spr_videos.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(Mismatch, match=r"spr_videos\.jsonl: 1 videos of the corpus missing: zoo"):
        import_tvr_ranking(Layout(tmp_path / "out"), tmp_path / "d")


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


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data")
    with pytest.raises(NotFound, match=r"none\.h5 does not exist; name the file of 'video'"):
        import_tvr_ranking(Layout(data, overrides={"video": tmp_path / "none.h5"}), tmp_path / "c")
    with pytest.raises(InvalidInput, match="no file 'vide' in the layout"):
        Layout(data, overrides={"vide": data})
    (data / tvr.LAYOUT["tokens"]).unlink()
    with pytest.raises(NotFound, match="--file tokens=PATH"):
        import_tvr_ranking(Layout(data), tmp_path / "c")


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
