import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.proposals import ProposalRule, propose
from engine.types import Hits, Proposals

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "proposal.json").read_text(encoding="utf-8"))
Row = tuple[int, float, float, int]


def hits_of(ranked: list[Any]) -> Hits:
    table = np.array(ranked, dtype=np.int32).reshape(-1, 2)
    return Hits(table[:, 0], table[:, 1], -np.arange(len(table), dtype=np.float32))


def rows(found: Proposals) -> list[Row]:
    columns = (found.videos.tolist(), found.spans.tolist(), found.ranks.tolist())
    return [(video, start, end, rank) for video, (start, end), rank in zip(*columns, strict=True)]


def limit(rule: ProposalRule, length: int, other: int) -> float:
    return {"adjacent": 0.0, "constant": rule.size, "adaptive": rule.size * (length + other)}[rule.kind]


def readable(
    ranked: list[Any], durations: list[float], segment_length: float, rule: ProposalRule
) -> list[Row]:
    """The rule as one reads it aloud: sort, join greedily, clip, drop what is empty."""
    best: dict[int, dict[int, int]] = defaultdict(dict)
    for rank, (video, segment) in enumerate(ranked):
        best[video].setdefault(segment, rank)
    moments = []
    for video, segments in best.items():
        if rule.kind == "peaks":
            moments += peaks(video, segments, durations[video], segment_length, int(rule.size))
            continue
        runs: list[list[int]] = []
        for segment in sorted(segments):
            if runs and segment == runs[-1][1] + 1:
                runs[-1][1] = segment
                runs[-1][2] = min(runs[-1][2], segments[segment])
            else:
                runs.append([segment, segment, segments[segment]])
        joined = runs[:1]
        for first, last, rank in runs[1:]:
            current = joined[-1]
            missing = first - current[1] - 1
            if missing <= limit(rule, current[1] - current[0] + 1, last - first + 1):
                joined[-1] = [current[0], last, min(current[2], rank)]
            else:
                joined.append([first, last, rank])
        for first, last, rank in joined:
            start, end = first * segment_length, min(durations[video], (last + 1) * segment_length)
            if end > start:
                moments.append((video, start, end, rank))
    return sorted(moments, key=lambda moment: moment[3])


def peaks(video: int, segments: dict[int, int], duration: float, length: float, more: int) -> list[Row]:
    """Every segment that neither neighbour outranks, and `more` on both sides, inside the video."""
    moments = []
    for segment, rank in segments.items():
        outranked = any(segments.get(segment + side, rank) < rank for side in (-1, 1))
        if not outranked and segment * length < duration:
            start, end = max(0, segment - more) * length, min(duration, (segment + more + 1) * length)
            moments.append((video, start, end, rank))
    return moments


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: f"{c['rule']}-{c['segment_length']}s")
def test_equals_the_published_proposals(case: dict[str, Any]) -> None:
    durations, rule = np.array(case["durations"]), ProposalRule.parse(case["rule"])
    for query in case["queries"]:
        expected = [tuple(row) for row in query["expected"] if row[2] > row[1]]
        assert rows(propose(hits_of(query["ranked"]), durations, case["segment_length"], rule)) == expected


RULES = st.one_of(
    st.just(ProposalRule()),
    st.integers(1, 6).map(lambda gap: ProposalRule("constant", gap)),
    st.floats(0, 1).map(lambda share: ProposalRule("adaptive", share)),
    st.integers(0, 3).map(lambda more: ProposalRule("peaks", more)),
)


@given(
    ranked=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30)), max_size=80),
    durations=st.lists(st.floats(0.1, 130), min_size=5, max_size=5),
    segment_length=st.sampled_from([1.0, 2.5, 4.0]),
    rule=RULES,
)
def test_equals_the_readable_loop(
    ranked: list[Any], durations: list[float], segment_length: float, rule: ProposalRule
) -> None:
    found = propose(hits_of(ranked), np.array(durations), segment_length, rule)
    assert rows(found) == readable(ranked, durations, segment_length, rule)
    assert (found.scores == -found.ranks).all()


@pytest.mark.parametrize("rule", ["adjacent", "adaptive:0.5", "peaks:1"])
def test_no_hits_are_no_proposals(rule: str) -> None:
    found = propose(hits_of([]), np.array([10.0]), 4.0, ProposalRule.parse(rule))
    assert len(found) == 0
    assert found.spans.shape == (0, 2)


def test_segments_beyond_the_video_are_never_proposed() -> None:
    found = propose(hits_of([[0, 4], [0, 1], [0, 3]]), np.array([15.5]), 4.0)
    assert rows(found) == [(0, 12.0, 15.5, 0), (0, 4.0, 8.0, 1)]
    assert rows(propose(hits_of([[0, 4], [0, 1]]), np.array([15.5]), 4.0)) == [(0, 4.0, 8.0, 1)]


def test_a_segment_that_was_hit_twice_counts_once() -> None:
    assert rows(propose(hits_of([[0, 2], [0, 3], [0, 2]]), np.array([99.0]), 4.0)) == [(0, 8.0, 16.0, 0)]


def test_a_run_with_two_peaks_is_two_proposals() -> None:
    ranked = [[0, 2], [0, 6], [0, 3], [0, 5], [0, 4]]
    durations, rule = np.array([27.0]), ProposalRule("peaks", 1)
    assert rows(propose(hits_of(ranked), durations, 4.0)) == [(0, 8.0, 27.0, 0)]
    assert rows(propose(hits_of(ranked), durations, 4.0, rule)) == [(0, 4.0, 16.0, 0), (0, 20.0, 27.0, 1)]


@given(rule=RULES)
def test_a_rule_is_read_as_it_prints(rule: ProposalRule) -> None:
    assert ProposalRule.parse(str(rule)) == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("adjacent", ProposalRule()),
        ("constant:2", ProposalRule("constant", 2)),
        ("adaptive:0.5", ProposalRule("adaptive", 0.5)),
        ("peaks:0", ProposalRule("peaks", 0)),
    ],
)
def test_rules_are_read_from_text(text: str, rule: ProposalRule) -> None:
    assert ProposalRule.parse(text) == rule


@pytest.mark.parametrize(
    "text",
    [
        *("", "other", "adjacent:1", "constant", "constant:0", "constant:x", "adaptive:1.5"),
        *("peaks", "peaks:-1", "peaks:0.5", "peaks:101"),
    ],
)
def test_a_malformed_rule_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        ProposalRule.parse(text)
