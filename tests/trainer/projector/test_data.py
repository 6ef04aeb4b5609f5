"""Positives: the published samples and score matrix, top-k, and what is left out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from tests import numeric
from trainer.collection.annotations import JudgedMoment, JudgedQuery, nearest_moments
from trainer.projector.data import SegmentPairs, Segments, load_segments, pairs_of
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.projection.segments import segment_inputs

GOLDEN = Path(__file__).parents[2] / "golden" / "projector" / "pairs.json"


def test_published_score_matrix() -> None:
    golden = json.loads(GOLDEN.read_text())
    counts = golden["segments"]
    first = dict(zip(counts, np.cumsum([0, *counts.values()])[:-1], strict=True))
    kept = sorted(
        (query["query_id"], int(first[s["video_name"]]) + s["segment_idx"], s["score"])
        for query in golden["annotations"]
        for s in query["relevant_segment"]
        if s["score"] >= 0.3
    )
    query, segment, score = (np.array(column) for column in zip(*kept, strict=True))
    pairs = SegmentPairs(query, segment, score, np.zeros(len(kept)), sum(counts.values()))
    samples = [
        (s["query_id"], int(first[s["video_name"]]) + s["segment_idx"], s["score"]) for s in golden["samples"]
    ]
    rows = np.array([kept.index(sample) for sample in samples])
    numeric.close(pairs.score_matrix(rows), golden["score_matrix"])


def test_score_matrix_equals_dictionary_look_ups() -> None:
    rng = np.random.default_rng(4)
    keys = np.sort(rng.choice(20 * 50, 200, replace=False))
    pairs = SegmentPairs(keys // 50, keys % 50, rng.random(200) + 0.1, np.zeros(200), 50)
    rows = rng.integers(0, 200, 60)
    scores = {(q, s): score for q, s, score in zip(pairs.query, pairs.segment, pairs.score, strict=True)}
    expected = [[scores.get((pairs.query[a], pairs.segment[b]), 0.0) for b in rows] for a in rows]
    found = pairs.score_matrix(rows)
    numeric.close(found, np.array(expected, np.float32), numeric.FLOAT64)
    assert (found.diagonal() > 0).all()


def test_top_k_are_the_most_similar() -> None:
    query = JudgedQuery(1, "q", (moment(0.2), moment(0.9), moment(0.5)))
    (kept,) = nearest_moments([query], 2)
    assert [m.similarity for m in kept.moments] == [0.9, 0.5]


def test_pairs_leave_out_what_has_no_features_or_too_small_a_score() -> None:
    first = {"a": (0, 2), "b": (2, 1)}
    segments = Segments(np.zeros((9, 1)), np.zeros((3, 4), np.int64), np.array([0, 0, 1]), first)
    inside = moment(0.8, "a", 2.0, 10.0)  # segments 0 (half), 1 (whole) and 2 (past the last frame)
    absent = moment(0.8, "missing", 0.0, 4.0)
    relevant = replace(moment(0.5, "b", 0.0, 4.0), relevance=3.0)
    pairs = pairs_of(
        [JudgedQuery(5, "q", (inside, absent)), JudgedQuery(9, "r", (relevant,))], segments, 4, 0.45
    )
    assert list(zip(pairs.query, pairs.segment, pairs.score, pairs.relevance, strict=True)) == [
        (0, 1, 0.8, 0.0),
        (1, 2, 0.5, 3.0),
    ]


def test_segments_of_a_split_equal_each_videos_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    videos = {
        "b": rng.standard_normal((9, 3)),
        "a": rng.standard_normal((4, 3)),
        "c": rng.standard_normal((1, 3)),
    }
    with FeatureStore.create(tmp_path / "s", {"frames": Stream(3, 1.0)}, "float16") as store:
        for name, frames in videos.items():
            store.append(name, {"frames": frames})
    segments = load_segments(store, ["a", "c", "b"], 4)
    expected = np.concatenate([segment_inputs(store.rows(name, "frames"), 4) for name in ("a", "c", "b")])
    found = segments.inputs(slice(0, len(segments)), torch.device("cpu"))
    assert found.dtype == torch.float32
    np.testing.assert_array_equal(found.numpy(), expected.astype(np.float32))
    assert segments.first == {"a": (0, 1), "c": (1, 1), "b": (2, 3)}
    assert segments.videos.tolist() == [0, 1, 2, 2, 2]


def moment(similarity: float, video: str = "a", start: float = 0.0, end: float = 4.0) -> JudgedMoment:
    return JudgedMoment(1, video, start, end, 10.0, "caption", similarity)
