"""Rejection and sets of moments: cases made by hand, and loops over the published rules."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput
from spr_cli.main import cli
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_queries
from trainer.evaluation.generalised import Generalised, rejection
from trainer.evaluation.judged import truths
from trainer.evaluation.matching import THRESHOLDS
from trainer.evaluation.runfile import Predicted
from trainer.formats.moments import load_existence

Span = tuple[float, float]


def query(query_id: int, *spans: Span, grade: float = 4.0, slice: str = "all") -> JudgedQuery:
    moments = tuple(JudgedMoment(n, "v", *span, 100.0, "a ball", 1.0, grade) for n, span in enumerate(spans))
    return JudgedQuery(query_id, f"query {query_id}", moments, slice)


def found(*spans: Span, sure: float | None = None, score: float | None = None) -> list[Predicted]:
    return [Predicted("v", *span, score, sure) for span in spans]


def figures(queries: list[JudgedQuery], answers: dict[int, list[Predicted]], **more: Any) -> dict[str, float]:
    truth = truths(queries)
    return Generalised.of(answers, truth, **more).figures(truth)


def test_one_two_and_no_moments() -> None:
    queries = [query(1, (0, 10)), query(2, (0, 10), (20, 30)), query(3)]
    answers = {
        1: found((0, 8), (50, 60), sure=0.9),
        2: found((20, 30), (0, 5), sure=0.5),
        3: found((0, 10), sure=0.3),
    }
    value = figures(queries, answers)
    assert value["AUROC"] == 1.0
    assert value["Rej-F1@0.4"] == 1.0
    # Of 2 and 3, both rejected, one has nothing: precision 1/2, recall 1.
    assert value["Rej-F1@0.6"] == pytest.approx(2 / 3)
    # IoU 0.8 matches at seven of ten thresholds; of query 2 one of two, and both at an IoU of 0.5.
    assert value["mR@1"] == pytest.approx((0.7 + 0.5) / 2)
    assert value["mR@5"] == pytest.approx((0.7 + 0.55) / 2)
    assert value["mR+@5"] == pytest.approx(0.1)
    assert value["mR+@1"] == 0.0
    # (0.8 / 1, 1 / 2, empty and empty); then (0.8 / 2, 1.5 / 2, 1).
    assert value["G-mIoU@1"] == pytest.approx((0.8 + 0.5 + 1.0) / 3)
    assert value["G-mIoU@3"] == pytest.approx((0.4 + 0.75 + 1.0) / 3)


def test_what_is_rejected_is_empty_and_what_is_not_answered_too() -> None:
    value = figures([query(1, (0, 10)), query(2)], {1: found((0, 10), sure=0.4)})
    assert value["G-mIoU@1"] == 0.5
    assert value["mR@1"] == 1.0
    assert value["Rej-F1@0.4"] == pytest.approx(2 / 3)
    assert value["AUROC"] == 1.0
    assert rejection(np.array([0.9]), np.array([True]), 0.4) == 0.0


def test_figures_that_no_query_counts_for_are_left_out() -> None:
    assert {"AUROC", "mR+@5"}.isdisjoint(figures([query(1, (0, 10))], {}))
    assert not any(name.startswith("mR") for name in figures([query(1)], {}))
    # A moment of grade 1 is none.
    assert figures([query(1, (0, 10), grade=1.0)], {1: []})["G-mIoU@1"] == 1.0


def test_a_score_of_a_file_comes_before_confidence_and_that_before_scores() -> None:
    queries = [query(1, (0, 10)), query(2)]
    scored = {1: found((0, 10), score=0.5), 2: found((0, 10), score=0.7)}
    assert figures(queries, scored)["AUROC"] == 0.0
    sure = {1: found((0, 10), score=0.5, sure=0.9), 2: found((0, 10), score=0.7)}
    assert figures(queries, sure)["AUROC"] == 1.0
    assert figures(queries, sure, existence={2: 0.95})["AUROC"] == 0.0


def slow(queries: list[JudgedQuery], answers: dict[int, list[Predicted]], k: int) -> dict[str, float]:
    """Match step by step; a pair is a prediction and a moment."""

    def iou(one: Predicted, other: JudgedMoment) -> float:
        shared = max(0.0, min(one.end, other.end) - max(one.start, other.start))
        return shared / (one.end - one.start + other.end - other.start - shared)

    def pairs(predictions: list[Predicted], moments: list[JudgedMoment], limit: float) -> list[float]:
        free, got = list(moments), []
        for prediction in predictions:
            best = max(free, key=lambda moment: iou(prediction, moment), default=None)
            if best is not None and iou(prediction, best) >= limit:
                free.remove(best)
                got.append(iou(prediction, best))
        return got

    recall, beyond, sets = [], [], []
    for one in queries:
        first, moments = answers[one.query_id][:k], list(one.moments)
        counts = [len(pairs(first, moments, limit)) for limit in THRESHOLDS]
        if moments:
            recall.append(np.mean([count / len(moments) for count in counts]))
        if len(moments) > 1:
            beyond.append(np.mean([max(0, count - 1) / (len(moments) - 1) for count in counts]))
        accepted = (
            first if max((row.confidence or 0.0 for row in answers[one.query_id]), default=0.0) > 0.4 else []
        )
        got = pairs(accepted, moments, 0.0)
        joint = len(accepted) + len(moments) - len(got)
        sets.append(sum(got) / joint if joint else 1.0)
    return {f"mR@{k}": np.mean(recall), f"mR+@{k}": np.mean(beyond), f"G-mIoU@{k}": np.mean(sets)}


def test_equals_the_loops() -> None:
    rng = np.random.default_rng(0)

    def spans(count: int) -> list[Span]:
        starts = rng.integers(0, 40, count)
        return [(float(start), float(start + rng.integers(2, 12))) for start in starts]

    queries = [query(n, *spans(n % 4)) for n in range(60)]
    answers = {n: [Predicted("v", *s, None, float(rng.random())) for s in spans(n % 7)] for n in range(60)}
    value = figures(queries, answers)
    for k in (1, 3, 5):
        for name, expected in slow(queries, answers, k).items():
            assert value[name] == pytest.approx(expected), name


def test_the_command_tells_them_by_slice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    truth, predicted = tmp_path / "test.json", tmp_path / "p.jsonl"
    save_queries(truth, [query(1, (0, 10), (20, 30), slice="several"), query(2, slice="none")])
    rows = [(1, [[0, 10, 0.9], [20, 30, 0.8]], 0.8), (2, [[0, 5, 0.9]], 0.1)]
    lines = [
        {"qid": n, "vid": "v", "pred_relevant_windows": windows, "pred_exist_score": score}
        for n, windows, score in rows
    ]
    predicted.write_text("".join(json.dumps(line) + "\n" for line in lines))
    arguments = ["eval", str(predicted), str(truth), "--protocol", "gmr"]
    told = CliRunner().invoke(cli, arguments)
    assert told.exit_code == 0, told.output
    assert "G-mIoU@1" in told.output
    value = json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)
    assert value["protocol"] == "gmr"
    assert value["gmr"]["refined"]["AUROC"] == 1.0
    assert value["slices"]["several"]["gmr"]["refined"]["mR+@5"] == 1.0
    assert value["slices"]["none"]["gmr"]["refined"]["G-mIoU@5"] == 1.0
    assert "gmr" not in json.loads(CliRunner().invoke(cli, [*arguments[:3], "--json"]).stdout)


def test_an_existence_score_is_a_number(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"qid": 1, "pred_exist_score": 0.25}\n{"qid": 2}\n')
    assert load_existence(path) == {1: 0.25}
    path.write_text('{"qid": 1, "pred_exist_score": "high"}\n')
    with pytest.raises(InvalidInput, match="line 1: pred_exist_score is no number"):
        load_existence(path)
    path.write_text('{"qid": 1, "pred_exist_score": 7}\n')
    with pytest.raises(InvalidInput, match="line 1: pred_exist_score is 7; write a probability, 0 to 1"):
        load_existence(path)
