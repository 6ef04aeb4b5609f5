import numpy as np
import pytest

from tests.workers.ranker import golden
from trainer.ranker.labels import clip_labels, foreground
from workers.ranker.model.windows import WindowConfig, arrange

CASES = golden.values("train_labels")["cases"]


def test_windows_and_labels_are_the_published_ones() -> None:
    spans = np.array([case["window"] for case in CASES], float)
    moments = np.array([case["moment"] for case in CASES], float)
    clips = np.array([case["n_clips"] for case in CASES])
    windows = arrange(
        np.zeros(len(CASES), np.int32), spans, np.full(len(CASES), np.inf), clips, WindowConfig(context=0.0)
    )
    labels = clip_labels(windows, moments, 1.5)
    for row, case in enumerate(CASES):
        wanted = case["expected"]
        assert [windows.first[row], windows.last[row]] == wanted["new_video_indices_in_old_video"]
        assert windows.last[row] - windows.first[row] == wanted["new_video_clip_len"]
        assert [labels.first[row], labels.last[row]] == wanted["moment_indices_in_new_video"]
        assert windows.origins[row] == pytest.approx(wanted["new_video_timestamp"][0])
        begin, end = wanted["moment_timestamp_in_new_video"]
        assert bool(labels.valid[row]) == (end > begin)


def test_valid_labels_lie_in_their_window() -> None:
    rng = np.random.default_rng(0)
    spans, moments = (np.sort(rng.uniform(0, 300, (500, 2)), axis=1) for _ in range(2))
    config = WindowConfig(clip_length=1.0)
    windows = arrange(np.zeros(500, np.int32), spans, np.full(500, 290.0), np.full(500, 290), config)
    labels = clip_labels(windows, moments, 1.0)
    inside = labels.valid
    assert 50 < inside.sum() < 500
    assert (labels.first[inside] >= 0).all()
    assert (labels.first <= labels.last)[inside].all()
    assert (labels.last < windows.lengths)[inside].all()
    marked = foreground(labels, 128)
    np.testing.assert_array_equal(marked.sum(1), np.where(inside, labels.last - labels.first + 1, 0))


def test_a_moment_outside_its_window_has_no_foreground() -> None:
    config = WindowConfig(clip_length=1.0, context=0.0)
    spans = np.array([[10.0, 14.0], [10.0, 14.0]])
    windows = arrange(np.zeros(2, np.int32), spans, np.full(2, 60.0), np.full(2, 60), config)
    labels = clip_labels(windows, np.array([[2.0, 5.0], [20.0, 25.0]]), 1.0)
    assert not labels.valid.any()
    assert not foreground(labels, 8).any()
