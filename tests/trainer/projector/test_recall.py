"""Recall at K: published values, and a loop over sets as oracle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import normalize

from engine.errors import InvalidInput
from trainer.projector import recall
from trainer.projector.recall import RelevantSegments, recalls

GOLDEN = Path(__file__).parents[2] / "golden" / "projector"
NAMES = {
    "gt_seg_recall": "recall",
    "gt_seg_weighted_recall": "weighted-recall",
    "gt_video_recall": "video-recall",
}


def test_published_values() -> None:
    golden, arrays = json.loads((GOLDEN / "recall.json").read_text()), np.load(GOLDEN / "recall.npz")
    names = {name: number for number, name in enumerate(golden["names"])}
    videos = sorted({name.rpartition("_")[0] for name in names})
    relevant = [
        (query, names[f"{segment['video_name']}_{segment['segment_idx']}"], segment["score"])
        for query, segments in enumerate(golden["gt"])
        for segment in segments
        if segment["relevance"] > 0
    ]
    query, segment, weight = (np.array(column) for column in zip(*relevant, strict=True))
    of_segment = np.array([videos.index(name.rpartition("_")[0]) for name in golden["names"]])
    truth = RelevantSegments(query, segment, weight, of_segment, len(golden["gt"]))
    queries, segments = (normalize(torch.from_numpy(arrays[name])) for name in ("queries", "segments"))
    found = recalls(queries, segments, truth, golden["topks"])
    for name, values in golden["results"].items():
        for k, value in values.items():
            assert found[f"{NAMES.get(name, 'videos')}@{k}"] == pytest.approx(value, rel=1e-9), (name, k)


def test_equals_a_loop_over_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "QUERIES_AT_ONCE", 3)
    rng = np.random.default_rng(2)
    queries, segments = (torch.from_numpy(rng.standard_normal((n, 5)).astype(np.float32)) for n in (8, 30))
    videos = np.sort(rng.integers(0, 7, 30))
    pairs = [
        (q, s, rng.random())
        for q in (0, 1, 3, 4, 7)
        for s in rng.choice(30, rng.integers(1, 9), replace=False)
    ]
    query, segment, weight = (np.array(column) for column in zip(*pairs, strict=True))
    found = recalls(queries, segments, RelevantSegments(query, segment, weight, videos, 8), (1, 4, 50))
    order = np.argsort(-(queries @ segments.T).numpy(), axis=1)
    for k in (1, 4, 50):
        rows = []
        for q in (0, 1, 3, 4, 7):
            top = set(order[q, :k].tolist())
            truth = {s: w for p, s, w in pairs if p == q}
            hits = truth.keys() & top
            named, wanted = {videos[s] for s in top}, {videos[s] for s in truth}
            weights = sum(truth[s] for s in hits) / sum(truth.values())
            rows.append((len(hits) / len(truth), weights, len(named & wanted) / len(wanted), len(named)))
        expected = np.mean(rows, axis=0)
        names = ("recall", "weighted-recall", "video-recall", "videos")
        assert [found[f"{name}@{k}"] for name in names] == pytest.approx(expected.tolist())


def test_scores_that_are_not_finite_have_no_order() -> None:
    one = np.zeros(1, np.int64)
    truth = RelevantSegments(one, one, np.ones(1), np.zeros(2, np.int64), 1)
    with pytest.raises(InvalidInput, match="no order"):
        recalls(torch.tensor([[float("nan")]]), torch.ones(2, 1), truth, [1])
