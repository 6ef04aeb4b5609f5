"""The annotation format: round trip, refusals that name the place, and segment scores."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.errors import InvalidInput, NotFound
from trainer.collection.annotations import (
    JudgedMoment,
    JudgedQuery,
    load_corpus,
    load_queries,
    save_corpus,
    save_queries,
)
from trainer.collection.segment_samples import segment_samples

MOMENT = {
    "pair_id": 7,
    "video_name": "a_b",
    "timestamp": [1.5, 6],
    "duration": 30.25,
    "caption": "a ball",
    "similarity": 0.5,
    "relevance": 2.5,
}
ENTRY = {"query_id": 3, "query": "a red ball", "relevant_moment": [MOMENT]}


def written(folder: Path, value: Any) -> Path:
    path = folder / "val.json"
    path.write_text(json.dumps(value))
    return path


def test_queries_survive_a_round_trip(tmp_path: Path) -> None:
    queries = [
        JudgedQuery(1, "a red ball", (JudgedMoment(0, "v", 0.1, 4.7, 30.0, "ball", 0.75, 4.0),), "precise"),
        JudgedQuery(2, "something", (JudgedMoment(1, "w", 2.0, 9.0, 31.5, "box", -0.5),)),
        JudgedQuery(3, "nothing", ()),
    ]
    save_queries(tmp_path / "q.json", queries)
    assert load_queries(tmp_path / "q.json") == queries
    raw = json.loads((tmp_path / "q.json").read_text())
    assert "relevance" not in raw[1]["relevant_moment"][0]
    assert "slice" not in raw[1]


def test_averaged_grades_are_floats(tmp_path: Path) -> None:
    (query,) = load_queries(written(tmp_path, [ENTRY]))
    assert query.moments[0].relevance == 2.5
    assert query.moments[0].end == 6.0


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"timestamp": [5, 5]}, r"entry 0 \(query_id 3\), moment 0: timestamp \[5, 5\]"),
        ({"timestamp": "0-5"}, r"timestamp is '0-5'"),
        ({"relevance": 5}, r"relevance is 5\.0; grades go from 0 to 4"),
        ({"similarity": None}, r"'similarity' is None"),
        ({"duration": float("nan")}, r"'duration' is nan|NaN is no JSON number"),
        ({"duration": 0}, "moment 0: 'duration' is 0; write a positive number of seconds"),
        ({"timestamp": [0, 1e9]}, r"timestamp \[0, 1000000000\.0\] ends after 10,000,000 s"),
        ({"pair_id": 10**18}, "'pair_id' is 10+; write an integer of up to 18 digits"),
        ({"pair_id": "x"}, r"'pair_id' is 'x'"),
        ({"video_name": ""}, r"'video_name' is ''"),
    ],
)
def test_a_bad_moment_is_named(tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    path = written(tmp_path, [{**ENTRY, "relevant_moment": [{**MOMENT, **change}]}])
    with pytest.raises(InvalidInput, match=expected) as caught:
        load_queries(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({}, "holds dict at the top"),
        ([{"query_id": 1, "query": "x"}], "nested form"),
        ([{"query_id": 1, "query": q, **MOMENT} for q in "xy"], "query_id 1 appears twice"),
        ([{**ENTRY, "query_id": True}], "'query_id' is True"),
        ([{**ENTRY, "query_id": -(10**30)}], "'query_id' is -10.*; write an integer of up to 18 digits"),
        ([ENTRY, ENTRY], "query_id 3 appears twice"),
        ([{**ENTRY, "relevant_moment": [3]}], "moment 0 is int"),
        ([{**ENTRY, "slice": 3}], "'slice' is 3"),
    ],
)
def test_a_bad_file_is_refused(tmp_path: Path, value: Any, expected: str) -> None:
    with pytest.raises(InvalidInput, match=expected):
        load_queries(written(tmp_path, value))


def test_the_flat_form_is_the_nested_one(tmp_path: Path) -> None:
    other = {**MOMENT, "pair_id": 8, "relevance": 2.5}
    flat = [
        {"query_id": 3, "query": "q", **MOMENT},
        {"query_id": 4, "query": "r", **MOMENT},
        {"query_id": 3, "query": "q", **other},
    ]
    nested = [
        {"query_id": 3, "query": "q", "relevant_moment": [MOMENT, other]},
        {"query_id": 4, "query": "r", "relevant_moment": [MOMENT]},
    ]
    read = load_queries(written(tmp_path, flat))
    assert read == load_queries(written(tmp_path, nested))
    assert read[0].moments[1].relevance == 2.5


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="does not exist"):
        load_queries(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('[{"query_id": 1')
    with pytest.raises(InvalidInput, match="is not JSON"):
        load_queries(tmp_path / "half.json")


def test_corpus(tmp_path: Path) -> None:
    save_corpus(tmp_path / "c.json", {"v_0": 30.5, "v_1": 60.0})
    assert load_corpus(tmp_path / "c.json") == {"v_0": 30.5, "v_1": 60.0}
    with pytest.raises(InvalidInput, match="duration of 'v' is 0"):
        load_corpus(written(tmp_path, {"v": 0}))
    with pytest.raises(InvalidInput, match=r"duration of 'v' is 1e[+]200"):
        load_corpus(written(tmp_path, {"v": 1e200}))
    with pytest.raises(InvalidInput, match="must be an object"):
        load_corpus(written(tmp_path, []))


def test_segment_scores_follow_the_covered_share() -> None:
    query = JudgedQuery(1, "q", (JudgedMoment(0, "v", 3.0, 9.0, 20.0, "c", 0.8, 4.0),))
    (samples,) = segment_samples([query], 4)
    assert [(s.segment, round(s.score, 6), s.relevance) for s in samples] == [
        (0, 0.2, 4.0),
        (1, 0.8, 4.0),
        (2, 0.2, 4.0),
    ]


def test_overlapping_moments_take_the_larger_and_useless_segments_are_left_out() -> None:
    moments = (
        JudgedMoment(0, "v", 0.0, 4.0, 20.0, "c", 0.5, 1.0),
        JudgedMoment(1, "v", 2.0, 4.0, 20.0, "c", 0.8, 3.0),
        JudgedMoment(2, "w", 0.0, 4.0, 20.0, "c", -0.8, 0.0),
        JudgedMoment(3, "v", 8.0, 12.0, 20.0, "c", 1.0),
    )
    (samples,) = segment_samples([JudgedQuery(1, "q", moments)], 4)
    assert samples == [("v", 0, 0.5, 3.0), ("v", 2, 1.0, None)]
