"""Predictions as JSON lines: their order, their refusals, and their figures."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput
from spr_cli.corpus_import_moments import command
from spr_cli.eval import command as evaluate
from tests.trainer.formats.json_lines import ROW, written
from trainer.evaluation.runfile import load_run
from trainer.formats.moments import load_predictions


def predicted(path: Path, *rows: dict[int, Any]) -> Path:
    return written(
        path,
        [
            {"qid": qid, "vid": "v", "pred_relevant_windows": spans}
            for row in rows
            for qid, spans in row.items()
        ],
    )


def test_windows_are_in_the_order_of_their_scores(tmp_path: Path) -> None:
    windows = {1: [[0, 2, 0.1], [2, 4, 0.9], [4, 6, 0.9], [6, 8, 0.5]], 2: [[8, 9], [1, 2], [3, 4]], 3: []}
    found = load_predictions(predicted(tmp_path / "a.jsonl", windows))
    assert found[1] == [("v", 2, 4, 0.9), ("v", 4, 6, 0.9), ("v", 6, 8, 0.5), ("v", 0, 2, 0.1)]
    # Without scores the order is all there is.
    assert found[2] == [("v", 8, 9, None), ("v", 1, 2, None), ("v", 3, 4, None)]
    assert found[3] == []
    assert load_run(tmp_path / "a.jsonl")["refined"][2][0].score is None


def test_the_order_of_a_file_does_not_change_its_figures(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    judged = [{**ROW, "qid": qid, "relevant_windows": [[20, 40], [60, 90]]} for qid in range(8)]
    path = written(tmp_path / "highlight_val.jsonl", judged)
    CliRunner().invoke(command, [str(path), "--collection", str(tmp_path / "c")])
    starts = rng.uniform(0, 80, (8, 12))
    spans = np.stack([starts, starts + rng.uniform(5, 40, (8, 12)), rng.uniform(0, 1, (8, 12))], axis=2)
    ordered = np.stack([rows[np.argsort(-rows[:, 2])] for rows in spans])
    figures = []
    for name, windows in (("given", spans), ("ordered", ordered), ("bare", ordered[:, :, :2])):
        rows = [
            {"qid": qid, "vid": ROW["vid"], "pred_relevant_windows": row}
            for qid, row in enumerate(windows.tolist())
        ]
        run = written(tmp_path / f"{name}.jsonl", rows)
        result = CliRunner().invoke(evaluate, [str(run), str(tmp_path / "c/annotations/val.json"), "--json"])
        assert result.exit_code == 0, result.output
        figures.append(json.loads(result.stdout)["refined"])
    assert figures[0] == figures[1] == figures[2]
    assert figures[0]["mAP,IoU>=0.5"] > 0


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([{1: [[0, 2, 0.1], [2, 4]]}], "1 of 2 windows have no score"),
        ([{1: [[0, 2, float("nan")]]}], "no prediction"),
        ([{1: [[0, 2, 0.5, 0.5]]}], "no prediction"),
        ([{1: [[0, float("inf"), 0.5]]}], r"write \[start, end\] in finite seconds"),
        (
            [{1: [[0, 2]], 2: [[9, 4, 0.5]]}],
            r"a\.jsonl: line 2: predicted window \[9, 4\] is reversed; write 0 <= start <= end",
        ),
        ([{1: [[-3, 4, 0.5]]}], r"line 1: predicted window \[-3, 4\] starts before the video"),
        ([{1.7: [[0, 2, 0.5]]}], "qid is 1.7, not an integer"),
        ([{1: []}, {1: []}], "line 2: qid 1 appears twice"),
    ],
)
def test_bad_predictions_are_named(tmp_path: Path, rows: list[dict[int, Any]], expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        load_predictions(predicted(tmp_path / "a.jsonl", *rows))


def test_predictions_are_measured_by_the_ordinary_command(tmp_path: Path) -> None:
    other = {**ROW, "qid": 7, "relevant_windows": [[10, 20]], "saliency_scores": None}
    path = written(tmp_path / "highlight_val.jsonl", [ROW, other])
    result = CliRunner().invoke(command, [str(path), "--collection", str(tmp_path / "c")])
    assert result.exit_code == 0, result.output
    assert "val: 2 queries, 4 moments, 1 videos" in result.stdout
    windows = {2579: [[30, 40, 0.2], [82, 88, 0.9]], 7: [[10, 16, 0.5], [10, 20, 0.4]]}
    rows = [
        {
            "qid": qid,
            "query": "",
            "vid": ROW["vid"],
            "pred_relevant_windows": spans,
            "pred_saliency_scores": [],
        }
        for qid, spans in windows.items()
    ]
    predictions = written(tmp_path / "predictions.jsonl", rows)
    assert [row.score for row in load_run(predictions)["refined"][2579]] == [0.9, 0.2]
    result = CliRunner().invoke(
        evaluate, [str(predictions), str(tmp_path / "c/annotations/val.json"), "--json"]
    )
    assert result.exit_code == 0, result.output
    figures = json.loads(result.stdout)["refined"]
    assert (figures["R@1,IoU>=0.5"], figures["R@1,IoU>=0.7"]) == (1.0, 0.5)
    # Query 2579: both hits among 3 moments; query 7: rank 1 up to 0.6, rank 2 above.
    assert figures["mAP,IoU>=0.5"] == pytest.approx((2 / 3 + 1) / 2)
    assert figures["mAP,IoU>=0.75"] == pytest.approx(((1 + 1) / 3 + 0.5) / 2)
    assert figures["mAP,IoU>=0.5:0.05:0.95"] > 0.4
    assert "NDCG@10,IoU>=0.7" in figures
    table = CliRunner().invoke(evaluate, [str(predictions), str(tmp_path / "c/annotations/val.json")])
    assert "mAP,IoU>=0.75" in table.stdout
