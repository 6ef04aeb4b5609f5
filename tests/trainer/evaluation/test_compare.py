"""Comparing runs, the command around it, and reports over slices and queries without an answer."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from engine.errors import InvalidInput
from spr_cli.eval import command
from trainer.collection.annotations import JudgedMoment, JudgedQuery, load_queries, save_queries
from trainer.evaluation.compare import compare
from trainer.evaluation.judged import truths
from trainer.evaluation.measures import NDCGS
from trainer.evaluation.report import report
from trainer.evaluation.runfile import Predicted, load_about, rankings, save_run, truth_card, truth_of
from trainer.evaluation.scores import evaluate

FIRST = "NDCG@10,IoU>=0.5"


def made_queries() -> list[JudgedQuery]:
    """Return forty answerable queries in two slices and five that have no answer."""
    rng = np.random.default_rng(0)
    queries = []
    for number in range(40):
        start = float(rng.integers(0, 50))
        moment = JudgedMoment(number, f"v{number % 7}", start, start + 8, 60.0, "c", 1.0, 4.0)
        also = ("long-video",) if number % 4 == 0 else ()
        kind = "precise" if number % 2 else "imprecise"
        queries.append(JudgedQuery(number, f"query {number}", (moment,), kind, also))
    return queries + [JudgedQuery(100 + n, f"nothing {n}", (), "no-answer") for n in range(5)]


QUERIES = made_queries()


def made_run(share: float, seed: int, confident: bool = False) -> dict[str, dict[int, list[Predicted]]]:
    """Return a run that finds the moment of a share of the queries."""
    rng = np.random.default_rng(seed)
    coarse, refined = {}, {}
    for query in QUERIES:
        found = rng.random() < share
        start = query.moments[0].start if query.moments and found else 55.0
        video = query.moments[0].video if query.moments else "v1"
        sure = 0.8 if found and query.moments else 0.2
        coarse[query.query_id] = [Predicted(video, start // 4 * 4, start // 4 * 4 + 8)]
        refined[query.query_id] = [Predicted(video, start, start + 8, 1.0, sure if confident else None)]
    return {"coarse": coarse, "refined": refined}


WORSE, BETTER = made_run(0.3, 1), made_run(0.8, 2)


def test_the_better_run_is_told_with_its_certainty() -> None:
    value = compare(WORSE, BETTER, QUERIES)
    row = value["measures"][FIRST]
    assert (value["queries"], value["answerable"]) == (45, 40)
    assert row["difference"] == pytest.approx(row["b"] - row["a"])
    assert row["a"] == pytest.approx(evaluate(rankings(WORSE["refined"]), truths(QUERIES), NDCGS)[FIRST])
    assert 0 < row["interval"][0] < row["difference"] < row["interval"][1]
    assert row["p"] < 0.01
    back = compare(BETTER, WORSE, QUERIES)["measures"][FIRST]
    assert back["difference"] == pytest.approx(-row["difference"])
    assert compare(BETTER, BETTER, QUERIES)["measures"][FIRST]["p"] == 1.0


def test_slices_are_compared_and_those_without_answers_counted() -> None:
    slices = compare(WORSE, BETTER, QUERIES)["slices"]
    assert {name: part["queries"] for name, part in slices.items()} == {
        "imprecise": 20,
        "long-video": 10,
        "no-answer": 5,
        "precise": 20,
    }
    assert (slices["no-answer"]["answerable"], slices["no-answer"]["measures"]) == (0, {})
    part = [query for query in QUERIES if "long-video" in query.slices]
    only = {stage: {q.query_id: rows[q.query_id] for q in part} for stage, rows in BETTER.items()}
    expected = evaluate(rankings(only["refined"]), truths(part), NDCGS)[FIRST]
    assert slices["long-video"]["measures"][FIRST]["b"] == pytest.approx(expected)


def test_runs_of_several_seeds_are_averaged_query_by_query() -> None:
    worse, better = [made_run(0.3, seed) for seed in (1, 11)], [made_run(0.8, seed) for seed in (2, 12)]
    value = compare(worse, better, QUERIES)
    assert value["runs"] == [2, 2]
    alone = [compare(one, other, QUERIES) for one, other in zip(worse, better, strict=True)]
    expected = np.mean([part["measures"][FIRST]["difference"] for part in alone])
    assert value["measures"][FIRST]["difference"] == pytest.approx(expected)
    widths = [np.diff(part["measures"][FIRST]["interval"])[0] for part in (value, *alone)]
    assert widths[0] < min(widths[1:])
    with pytest.raises(InvalidInput, match=r"only A answers 1 queries \(3\)"):
        compare([WORSE, without(WORSE, 3)], BETTER, QUERIES)


def without(run: dict[str, Any], *gone: int) -> dict[str, Any]:
    return {
        stage: {query_id: rows for query_id, rows in answers.items() if query_id not in gone}
        for stage, answers in run.items()
    }


def test_runs_over_different_queries_are_refused_by_name() -> None:
    with pytest.raises(InvalidInput, match=r"only A answers 2 queries \(3, 5\)") as caught:
        compare(WORSE, without(BETTER, 3, 5), QUERIES)
    assert "only B" not in str(caught.value)
    message = r"only old answers 1 queries \(9\); only new answers 1 queries \(3\)"
    with pytest.raises(InvalidInput, match=message):
        compare(without(WORSE, 3), without(BETTER, 9), QUERIES, names=("old", "new"))
    with pytest.raises(InvalidInput, match=r"A and B answer 45 queries \(0, 1, 2, 3, 4, \.\.\.\), which the"):
        compare(WORSE, BETTER, [])
    with pytest.raises(InvalidInput, match="A has no stage 'retrieval' but coarse, refined"):
        compare(WORSE, BETTER, QUERIES, stage="retrieval")


def test_queries_that_both_leave_out_do_not_count() -> None:
    value = compare(without(WORSE, 3), without(BETTER, 3), QUERIES)
    assert value["queries"] == 44


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    truth = tmp_path / "val.json"
    save_queries(truth, QUERIES)
    for name, run in (("a", WORSE), ("b", BETTER), ("c", made_run(0.5, 3, confident=True))):
        save_run(tmp_path / f"{name}.json", run, {"truth": truth_card(truth), "segment_length": 4.0})
    return tmp_path


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_the_command_needs_only_the_two_runs(folder: Path) -> None:
    result = invoke("compare", folder / "a.json", folder / "b.json")
    assert result.exit_code == 0, result.output
    assert "B - A" in result.stdout
    assert "long-video" in result.stdout
    result = invoke("compare", folder / "a.json", folder / "b.json", "--json", "--samples", "200")
    value = json.loads(result.stdout)
    assert value["samples"] == 200
    seeds = ["--also-a", folder / "b.json", "--also-b", folder / "a.json"]
    result = invoke("compare", folder / "a.json", folder / "b.json", *seeds, "--json", "--samples", "50")
    assert json.loads(result.stdout)["measures"][FIRST]["difference"] == pytest.approx(0)
    assert value["measures"][FIRST] == compare(WORSE, BETTER, QUERIES, samples=200)["measures"][FIRST]


def test_a_run_says_what_it_answers(folder: Path) -> None:
    assert truth_of(folder / "a.json") == folder / "val.json"
    save_queries(folder / "val.json", QUERIES[:-1])
    with pytest.raises(InvalidInput, match="gone or has changed"):
        truth_of(folder / "a.json")
    save_run(folder / "bare.json", WORSE)
    with pytest.raises(InvalidInput, match="does not say which queries"):
        truth_of(folder / "bare.json")
    result = invoke("compare", folder / "bare.json", folder / "a.json")
    assert isinstance(result.exception, InvalidInput)
    save_queries(folder / "other.json", QUERIES)
    result = invoke("compare", folder / "bare.json", folder / "a.json", "--truth", folder / "other.json")
    assert result.exit_code == 0


def test_runs_on_different_truths_are_refused(folder: Path) -> None:
    save_queries(folder / "test.json", QUERIES[::-1])
    save_run(folder / "d.json", BETTER, {"truth": truth_card(folder / "test.json")})
    result = invoke("compare", folder / "a.json", folder / "d.json")
    assert isinstance(result.exception, InvalidInput)
    assert "give --truth" in str(result.exception)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"segment_length": 0}, "'segment_length' of its about is 0; write a positive number of seconds"),
        ({"segment_length": "4"}, "'segment_length' of its about is '4'"),
        ({"versions": 5}, "'versions' of its about is 5; write an object"),
    ],
)
def test_what_a_run_says_wrong_of_itself_is_named(folder: Path, about: dict[str, Any], message: str) -> None:
    save_run(folder / "odd.json", WORSE, about)
    with pytest.raises(InvalidInput, match=message):
        load_about(folder / "odd.json")


def test_a_run_that_names_its_truth_otherwise_is_refused(folder: Path) -> None:
    save_run(folder / "odd.json", WORSE, {"truth": "val.json"})
    assert isinstance(invoke("compare", folder / "a.json", folder / "odd.json").exception, InvalidInput)


def test_files_whose_names_are_no_utf_8_are_told(folder: Path) -> None:
    odd = folder / os.fsdecode(b"caf\xe9")
    odd.mkdir()
    save_queries(odd / "val.json", QUERIES)
    save_run(odd / "a.json", WORSE, {"truth": truth_card(odd / "val.json")})
    assert load_about(odd / "a.json")["truth"]["file"] == str(folder / r"caf\xe9/val.json")
    page = ("--truth", odd / "val.json", "--html", odd / "ab.html")
    assert invoke("compare", odd / "a.json", folder / "b.json", *page).exit_code == 0
    assert r"caf\xe9/a.json" in (odd / "ab.html").read_text()


def test_a_run_file_is_measured_again_by_itself(folder: Path) -> None:
    result = invoke(folder / "c.json", "--json", "--reliability", folder / "r.png")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    assert value["confidence"].keys() == {"refined"}
    # A moment found says 0.8 and is right, all others say 0.2 and are wrong.
    assert value["confidence"]["refined"]["ECE"] == pytest.approx(0.2)
    assert value["confidence"]["refined"]["no-answer"]["without"] == 5
    assert (folder / "r.png").is_file()
    table = invoke(folder / "c.json").stdout
    assert "confidence of refined: ECE 0.200" in table
    assert "of ceiling" in table
    refused = invoke(folder / "a.json", "--reliability", folder / "r.png")
    assert isinstance(refused.exception, InvalidInput)


def test_a_report_has_intervals_ceiling_and_slices() -> None:
    value = report(BETTER, QUERIES).to_json()
    assert (value["queries"], value["answerable"], value["unanswerable"]) == (45, 40, 5)
    assert set(value["intervals"]) == {"coarse", "refined", "ceiling"}
    low, high = value["intervals"]["refined"][FIRST]
    assert low < value["refined"][FIRST] < high
    assert value["share"][FIRST] == pytest.approx(value["refined"][FIRST] / value["ceiling"][FIRST])
    assert value["refined"][FIRST] <= value["ceiling"][FIRST] <= 1
    assert value["slices"]["no-answer"]["answerable"] == 0
    assert value["slices"]["long-video"]["queries"] == 10
    assert "confidence" not in value
    json.dumps(value, allow_nan=False)
    assert report(BETTER, QUERIES).to_json() == value
    assert report(BETTER, QUERIES, seed=1).to_json()["intervals"] != value["intervals"]


def test_queries_without_an_answer_change_no_measure() -> None:
    whole, answerable = report(BETTER, QUERIES).to_json(), report(BETTER, QUERIES[:40]).to_json()
    for stage in ("coarse", "refined", "ceiling", "retrieval"):
        assert whole[stage] == answerable[stage]
    assert all(np.isfinite(list(whole["refined"].values())))


def test_a_file_of_queries_without_answers_round_trips(tmp_path: Path) -> None:
    save_queries(tmp_path / "q.json", QUERIES)
    assert load_queries(tmp_path / "q.json") == QUERIES
    raw = json.loads((tmp_path / "q.json").read_text())
    assert raw[0]["slice"] == ["imprecise", "long-video"]
    assert (raw[1]["slice"], raw[-1]["relevant_moment"]) == ("precise", [])
    alone = report({"refined": {100: [Predicted("v1", 0, 8)]}}, QUERIES[40:]).to_json()
    assert (alone["answerable"], alone["refined"][FIRST]) == (0, 0.0)
