import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import InvalidInput, NotFound
from trainer.collection.annotations import JudgedMoment, JudgedQuery
from trainer.evaluation.chance import chance, corpus_of, random_run
from trainer.evaluation.judged import truths
from trainer.evaluation.matching import TVR_RANKING
from trainer.evaluation.plot import plot
from trainer.evaluation.report import change, report
from trainer.evaluation.retrieval import segments_of
from trainer.evaluation.runfile import Predicted, Run, load_run, rankings, save_run


def moment(video: str, start: float, end: float, relevance: float | None = 4.0) -> JudgedMoment:
    return JudgedMoment(1, video, start, end, 60.0, "a ball", 1.0, relevance)


QUERIES = [
    JudgedQuery(1, "a ball bounces", (moment("a", 10, 22), moment("b", 4, 12, 1.0)), "precise"),
    JudgedQuery(2, "something moves", (moment("b", 30, 40),), "imprecise"),
    JudgedQuery(3, "nothing at all", (moment("a", 0, 4, 0.0),), "imprecise"),
]
COARSE = {1: [Predicted("a", 8, 20, 0.9), Predicted("b", 4, 12, 0.8)], 2: [Predicted("c", 0, 8, 0.5)]}
REFINED = {1: [Predicted("a", 10, 22, 2.0), Predicted("b", 4, 12, 1.0)], 2: [Predicted("b", 30, 40, 1.0)]}


def figures(run: Run, queries: Sequence[JudgedQuery], **options: Any) -> dict[str, Any]:
    return report(run, queries, **options).to_json()


def test_report_says_what_each_stage_reached() -> None:
    value = figures({"coarse": COARSE, "refined": REFINED}, QUERIES)
    assert (value["queries"], value["answerable"]) == (3, 2)
    assert value["refined"]["NDCG@10,IoU>=0.7"] == pytest.approx(1.0)
    # [8, 20) against [10, 22) is an IoU of 10/14, just enough; query 2 found nothing.
    assert value["coarse"]["NDCG@10,IoU>=0.7"] == pytest.approx(0.5)
    assert value["change"]["NDCG@10,IoU>=0.7"] == pytest.approx(1.0)
    assert value["coarse"]["VideoRecall@10"] == pytest.approx(0.5)
    assert value["slices"]["imprecise"]["queries"] == 2
    assert value["slices"]["imprecise"]["coarse"]["NDCG@10,IoU>=0.3"] == 0.0
    assert value["slices"]["precise"]["refined"]["NDCG@40,IoU>=0.3"] == pytest.approx(1.0)
    assert 0 < value["chance"]["NDCG@10,IoU>=0.3"] < 0.8
    json.dumps(value)


def test_queries_without_an_answer_count_as_zero() -> None:
    answered = {1: REFINED[1]}
    assert figures({"refined": answered}, QUERIES)["refined"]["NDCG@10,IoU>=0.5"] == pytest.approx(0.5)
    published = figures({"refined": answered}, QUERIES, absent="skip")
    assert published["refined"]["NDCG@10,IoU>=0.5"] == pytest.approx(1.0)
    assert published["refined"]["VideoRecall@10"] == pytest.approx(1.0)


def test_retrieval_is_read_off_the_proposals() -> None:
    whole = figures({"coarse": COARSE}, QUERIES)
    value = whole["retrieval"]
    assert whole["slices"]["precise"]["retrieval"]["SegmentRecall"] == pytest.approx(5 / 6)
    assert whole["slices"]["imprecise"]["retrieval"]["SegmentRecall"] == 0.0
    # Query 1: segments 2-5 of a and 1-2 of b are relevant, 2-4 and 1-2 were retrieved. Query 2: none of 3.
    assert value["SegmentRecall"] == pytest.approx(5 / 6 / 2)
    # Their scores: 0.5, 1, 1, 0.5 and 1, 1.
    assert value["WeightedSegmentRecall"] == pytest.approx(4.5 / 5 / 2)
    assert value["VideoRecall"] == pytest.approx(0.5)
    assert "NDCG@10,IoU>=0.5" not in value


def test_retrieved_segments_are_moments_of_their_own() -> None:
    hits = {1: [Predicted("a", 12, 16), Predicted("a", 16, 20)]}
    value = figures({"retrieval": hits, "coarse": COARSE}, QUERIES)["retrieval"]
    assert value["SegmentRecall"] == pytest.approx(2 / 6 / 2)
    assert value["NDCG@10,IoU>=0.3"] > 0
    assert value["NDCG@10,IoU>=0.5"] == 0


def test_segments_of_proposals() -> None:
    assert segments_of([Predicted("a", 4, 12), Predicted("b", 8, 9.5)], 4.0) == [("a", 1), ("a", 2), ("b", 2)]
    assert segments_of([Predicted("a", 12.000000001, 15.999999999)], 4.0) == [("a", 3)]


def test_the_other_protocol_is_not_the_same() -> None:
    value = figures({"coarse": COARSE}, QUERIES, protocol=TVR_RANKING)
    assert value["protocol"] == "tvr-ranking"
    assert (
        value["coarse"]["NDCG@10,IoU>=0.3"]
        < figures({"coarse": COARSE}, QUERIES)["coarse"]["NDCG@10,IoU>=0.3"]
    )


def test_a_run_of_another_split_is_refused() -> None:
    with pytest.raises(InvalidInput, match="answers none of the judged queries"):
        figures({"coarse": {99: COARSE[1]}}, QUERIES)


def test_change_is_relative() -> None:
    assert change({"a": 0.5, "b": 0.0}, {"a": 0.75, "b": 0.1}) == {"a": pytest.approx(0.5), "b": None}


def test_chance_is_seeded_and_stays_inside_the_videos() -> None:
    corpus = {"long": 300.0, "short": 3.0}
    run = random_run(range(20), corpus, [5.0, 20.0], 40, seed=3)
    for ranking in run.values():
        ends = np.array([corpus[video] for video in ranking.videos])
        assert (ranking.spans[:, 0] >= 0).all()
        assert (ranking.spans[:, 1] <= ends + 1e-9).all()
        assert (ranking.videos == "long").mean() > 0.8
    once, again, other = (chance(QUERIES, truths(QUERIES), corpus_of(QUERIES), seed=s) for s in (1, 1, 2))
    assert once == again != other


def test_run_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save_run(path, {"coarse": COARSE, "refined": REFINED})
    assert load_run(path) == {"coarse": COARSE, "refined": REFINED}


def test_published_coarse_predictions_are_read(tmp_path: Path) -> None:
    path = tmp_path / "val_coarse_proposals.json"
    rows = [
        {"timestamp": [8.0, 12.0], "video_name": "w", "moment_rank": 3},
        {"timestamp": [0.0, 4.0], "video_name": "v", "moment_rank": 0},
    ]
    path.write_text(json.dumps({"7": rows, "8": []}))
    run = load_run(path)
    assert run == {"coarse": {7: [Predicted("v", 0, 4), Predicted("w", 8, 12)], 8: []}}
    assert rankings(run["coarse"])[7].videos.tolist() == ["v", "w"]


def test_a_run_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"1": [{"video_name": "v", "timestamp": [0, 5]}]}', encoding="utf-8-sig")
    assert load_run(path) == {"coarse": {1: [Predicted("v", 0.0, 5.0)]}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "holds list at the top"),
        ("{", "is not JSON"),
        ('{"protocol": "spr", "intervals": {}}', "is a report, .*; --run-out writes a run file"),
        ('{"stages": {"fine": {}}}', "stage 'fine' is unknown"),
        ('{"q1": []}', "'q1' is not an integer query id"),
        (
            '{"1": [{"video_name": "v", "timestamp": [1]}]}',
            r"query 1, moment 0: timestamp is \[1\]; write \[start, end\] in finite seconds",
        ),
        (
            '{"1": [{"video_name": "NaN",\n"timestamp": [NaN, 5]}]}',
            r"run\.json cannot be used: .*line 2: NaN is no JSON number; write a finite one",
        ),
        (
            '{"1": [{"video_name": "v", "timestamp": [0, 5], "score": Infinity}]}',
            "line 1: Infinity is no JSON number; write a finite one",
        ),
        (
            '{"1": [{"video_name": "v", "timestamp": [0, 5]}, {"video_name": "v", "timestamp": [7, 5.5]}]}',
            r"run\.json: coarse: query 1, moment 1: timestamp \[7, 5.5\] is reversed; write 0 <= start",
        ),
        (
            '{"stages": {"refined": {"1": [{"video_name": "v", "timestamp": [-2, 5]}]}}}',
            r"refined: query 1, moment 0: timestamp \[-2, 5\] starts before the video",
        ),
        ('{"1": [{"video_name": "v", "timestamp": [0, 1e12]}]}', "ends after 10,000,000 s"),
        ('{"1": [{"video_name": "v", "timestamp": [1, 1e999]}]}', "is beyond 1.8e308"),
        ('{"1": [{"video_name": "v", "timestamp": [0, 5], "score": "a"}]}', "'score' is 'a'; write a finite"),
        (
            '{"1": [{"video_name": "v", "timestamp": [0, 5], "confidence": 2}]}',
            r"run\.json: coarse: query 1, moment 0: confidence is 2; write a probability, 0 to 1",
        ),
        ('{"1": [{"video_name": null, "timestamp": [0, 5]}]}', "write an object of video_name"),
        ('{"1.7": []}', "'1.7' is not an integer query id"),
        ('{"--1": []}', "is not an integer query id"),
        ('{"1": [], "01": []}', "query 01 is there twice"),
        ('{"1": [{"video_name": "v", "timestamp": [0, 5], "moment_rank": "a"}]}', "moment_rank"),
        ('{"stages": {"coarse": []}}', "coarse is list"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "run.json"
    path.write_text(content)
    with pytest.raises(InvalidInput, match=message):
        load_run(path)


def test_a_missing_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        load_run(tmp_path / "run.json")


def test_plot_writes_a_png(tmp_path: Path) -> None:
    plot(report({"coarse": COARSE, "refined": REFINED}, QUERIES), tmp_path / "report.png")
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")
