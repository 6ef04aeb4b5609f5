import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput, NotFound
from spr_cli.corpus_import_moments import command
from spr_cli.eval import command as evaluate
from tests.trainer.formats.json_lines import ROW, written
from trainer.collection.annotations import load_corpus, load_queries
from trainer.formats.moments import import_moments, load_moments, load_predictions
from workers.feature_store.store import FeatureStore, Stream


def test_relevance_is_the_mean_saliency_of_a_windows_clips(tmp_path: Path) -> None:
    found = load_moments(written(tmp_path / "val.jsonl", [ROW]))
    (query,) = found.queries
    assert (query.query_id, query.query) == (2579, ROW["query"])
    # 41..44 lie in the first window: 2, 2, 7/3, 3. Clip 60 has 1/3, raised to 1; none lies in the third.
    assert [moment.relevance for moment in query.moments] == pytest.approx(
        [(2 + 2 + 7 / 3 + 3) / 4, 1.0, 4.0]
    )
    assert [(moment.start, moment.end) for moment in query.moments] == [(82, 90), (120, 122), (30, 40)]
    assert found.durations == {ROW["vid"]: 150.0}


def test_other_members_of_the_family(tmp_path: Path) -> None:
    bare = {key: ROW[key] for key in ("query", "duration", "vid", "relevant_windows")}
    rows = [
        {**bare, "qid": 1},
        {**bare, "qid": 2, "saliency_scores": [3.0] * 50},
        {**bare, "qid": "3", "relevant_windows": [[5, 5], [6, 9]]},
        {key: bare[key] for key in ("query", "duration", "vid")} | {"qid": 4},
    ]
    found = load_moments(written(tmp_path / "a.jsonl", rows), grade=2.0)
    grades = [[moment.relevance for moment in query.moments] for query in found.queries]
    assert grades == [[2, 2, 2], [3, 2, 3], [2], []]
    assert found.empty == 1
    train = load_moments(written(tmp_path / "a.jsonl", rows), judged=False)
    assert {moment.relevance for query in train.queries for moment in query.moments} == {None}


def test_videos_need_features_where_there_are_some(tmp_path: Path) -> None:
    path = written(tmp_path / "val.jsonl", [ROW])
    import_moments(path, tmp_path / "empty", "val")
    assert load_corpus(tmp_path / "empty/annotations/corpus_val.json") == {ROW["vid"]: 150.0}
    with FeatureStore.create(tmp_path / "c/features/f", {"frames": Stream(2, 1.0)}) as store:
        with pytest.raises(InvalidInput, match=r"1 videos without features .* such as NUsG9BgSes0"):
            import_moments(path, tmp_path / "c", "val")
        store.append(str(ROW["vid"]), {"frames": np.zeros((150, 2))}, duration=150.0)
    import_moments(path, tmp_path / "c", "test")
    assert len(load_queries(tmp_path / "c/annotations/test.json")[0].moments) == 3


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([ROW, ROW], "line 2: qid 2579 appears twice"),
        ([{**ROW, "qid": "x"}], "line 1 is no query"),
        ([{"qid": 1}], "'vid' is missing"),
        ([{**ROW, "relevant_clip_ids": [1]}], "no query"),
        ([{**ROW, "relevant_clip_ids": [1.5, 2, 3, 4, 5]}], "relevant_clip_ids"),
        ([{**ROW, "query": ""}], "line 1: 'query' is ''; write a text that is not empty"),
        ([{**ROW, "query": None}], "line 1: 'query' is None"),
        ([{**ROW, "qid": 1.7}], "qid is 1.7, not an integer"),
        ([{**ROW, "qid": 1.0}], "not an integer"),
        ([{**ROW, "qid": True}], "not an integer"),
        ([{**ROW, "qid": 2**63}], "not an integer of at most 18 digits"),
        ([{**ROW, "vid": ""}], "not a video's name"),
        ([{**ROW, "vid": ["a"]}], "not a video's name"),
        ([{**ROW, "duration": -5}], "write a positive number of seconds"),
        ([{**ROW, "duration": float("nan")}], "write a positive number of seconds"),
        ([{**ROW, "duration": "150"}], "write a positive number of seconds"),
        ([{**ROW, "saliency_scores": [[float("nan")] * 3] * 5}], "not all finite numbers"),
        ([{**ROW, "saliency_scores": [[]] * 5}], "not all finite numbers"),
        ([{**ROW, "relevant_windows": [[-1, 3]]}], "starts before the video"),
        (
            [ROW, {**ROW, "qid": 2, "relevant_windows": [[40, 30]]}],
            r"a\.jsonl: line 2: relevant window \[40, 30\] is reversed; write 0 <= start <= end",
        ),
        ([{**ROW, "relevant_windows": [[float("nan"), 2]]}], r"\[nan, 2\]; write \[start, end\] in finite"),
        ([{**ROW, "relevant_windows": [[0, float("inf")]]}], r"write \[start, end\] in finite seconds"),
        ([{**ROW, "relevant_windows": [[0, 10**400]]}], r"beyond 1\.8e308"),
        ([{**ROW, "relevant_windows": [["0", "2"]]}], r"write \[start, end\] in finite seconds"),
        ([{**ROW, "relevant_windows": [[1, 2, 3]]}], r"relevant window is \[1, 2, 3\]; write \[start, end\]"),
        ([{**ROW, "relevant_windows": 5}], "a value is of another kind than it should be"),
        ([ROW, {**ROW, "qid": 2, "duration": 149}], "lasts 149 s here and 150 s above"),
        ([3], "line 1 is no object"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, rows: list[Any], expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        load_moments(written(tmp_path / "a.jsonl", rows))


@pytest.mark.parametrize("bad", [{"query": ""}, {"duration": -5}, {"saliency_scores": [[float("nan")]] * 5}])
def test_a_refused_import_leaves_the_annotations_of_before(tmp_path: Path, bad: dict[str, Any]) -> None:
    import_moments(written(tmp_path / "good.jsonl", [ROW]), tmp_path / "c", "val")
    kept = tmp_path / "c/annotations/seg_anno/val_seg_4s.json"
    kept.parent.mkdir()
    kept.write_text("[]")
    before = {path: path.read_bytes() for path in (tmp_path / "c").rglob("*.json")}
    rows = [{**ROW, "qid": 1}, {**ROW, **bad, "qid": 2, "vid": "other"}]
    with pytest.raises(InvalidInput, match="line 2"):
        import_moments(written(tmp_path / "bad.jsonl", rows), tmp_path / "c", "val")
    with pytest.raises(InvalidInput, match="holds no query"):
        import_moments(written(tmp_path / "none.jsonl", []), tmp_path / "c", "val")
    assert {path: path.read_bytes() for path in (tmp_path / "c").rglob("*.json")} == before


def test_an_import_says_what_it_changed(tmp_path: Path) -> None:
    windows = [[140, 170], [0, 1e6], [150, 160], [3, 3]]
    row = {**ROW, "relevant_windows": windows, "saliency_scores": None}
    path = written(tmp_path / "highlight_val.jsonl", [row])
    first, again = (
        CliRunner().invoke(command, [str(path), "--collection", str(tmp_path / "c")]) for _ in range(2)
    )
    assert first.exit_code == again.exit_code == 0, first.output
    assert "2 windows ended after their video and were cut at its end" in first.stdout
    assert "2 windows without length inside their video were left out" in first.stdout
    assert "replaced" not in first.stdout
    assert "the queries that this split had were replaced" in again.stdout
    (query,) = load_queries(tmp_path / "c/annotations/val.json")
    assert [(moment.start, moment.end) for moment in query.moments] == [(140, 150), (0, 150)]


def test_what_ends_at_the_end_of_a_video_is_perfect_for_a_window_beyond_it(tmp_path: Path) -> None:
    row = {**ROW, "relevant_windows": [[140, 170]], "saliency_scores": None}
    import_moments(written(tmp_path / "a.jsonl", [row]), tmp_path / "c", "val")
    run = written(
        tmp_path / "run.jsonl",
        [{"qid": ROW["qid"], "vid": ROW["vid"], "pred_relevant_windows": [[140, 150, 0.9]]}],
    )
    result = CliRunner().invoke(evaluate, [str(run), str(tmp_path / "c/annotations/val.json"), "--json"])
    assert json.loads(result.stdout)["refined"]["R@1,IoU>=0.7"] == 1.0
    # Nothing was retrieved, so no recall of it is told.
    assert json.loads(result.stdout)["retrieval"] == {}
    table = CliRunner().invoke(evaluate, [str(run), str(tmp_path / "c/annotations/val.json")])
    assert table.exit_code == 0
    assert "VideoRecall 0.000" not in table.stdout


def test_bad_files(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        load_moments(tmp_path / "none.jsonl")
    (tmp_path / "a.jsonl").write_text('{"qid": 1\n')
    with pytest.raises(InvalidInput, match="line 1 is not JSON"):
        load_predictions(tmp_path / "a.jsonl")
    with pytest.raises(InvalidInput, match="no prediction"):
        load_predictions(
            written(tmp_path / "b.jsonl", [{"qid": 1, "vid": "v", "pred_relevant_windows": [[1]]}])
        )
