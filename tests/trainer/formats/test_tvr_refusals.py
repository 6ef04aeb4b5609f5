"""Files in the TVR-Ranking layout that do not fit each other, or are missing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import InvalidInput, Mismatch, NotFound
from tests.trainer.formats import tvr
from trainer.formats.layout import Layout
from trainer.formats.tvr_export import export_tvr_ranking
from trainer.formats.tvr_import import import_tvr_ranking

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


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    data = tvr.write_layout(tmp_path / "data")
    with pytest.raises(NotFound, match=r"none\.h5 does not exist; name the file of 'video'"):
        import_tvr_ranking(Layout(data, overrides={"video": tmp_path / "none.h5"}), tmp_path / "c")
    with pytest.raises(InvalidInput, match="no file 'vide' in the layout"):
        Layout(data, overrides={"vide": data})
    (data / tvr.LAYOUT["tokens"]).unlink()
    with pytest.raises(NotFound, match="--file tokens=PATH"):
        import_tvr_ranking(Layout(data), tmp_path / "c")
