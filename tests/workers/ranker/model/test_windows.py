import itertools

import numpy as np
import pytest

from engine.errors import InvalidInput, Mismatch
from engine.types import Floats
from tests import numeric
from tests.workers.ranker import golden
from workers.ranker.model.windows import WindowConfig, cut, gather, pool, token_batch, unit
from workers.ranker.stores.features import FRAMES, SUBTITLES, FeatureMaps, FeatureStream

CONFIG = WindowConfig(clip_length=1.0, context=2.0, max_clips=8)


def contexts(lengths: list[int], durations: list[float], subtitles: list[int] | None = None) -> FeatureMaps:
    rng = np.random.default_rng(3)
    streams = {}
    for name, counts, dim in ((FRAMES, lengths, 4), (SUBTITLES, subtitles or lengths, 3)):
        rows = rng.normal(size=(sum(counts), dim)).astype(np.float16)
        streams[name] = FeatureStream.of(rows, counts, 1.0)
    return FeatureMaps(streams, np.array(durations))


def slow_pool(rows: Floats, length: int) -> Floats:
    """Pool as published, one output row at a time."""
    n = len(rows)
    borders = [min(round(k / length * n), n - 1) for k in range(length + 1)]
    parts = [rows[a:b] if b > a else rows[a : a + 1] for a, b in itertools.pairwise(borders)]
    return np.stack([part.mean(0) for part in parts])


@pytest.mark.parametrize("case", ["5_8", "8_8", "9_8", "13_8", "129_128", "200_128", "300_128"])
def test_pooling_is_the_published_one(case: str) -> None:
    stored = golden.arrays("utils")
    found = pool(stored[f"in/sample_{case}"], int(case.partition("_")[2]), whole=False)
    numeric.close(found, stored[f"out/sample_{case}"])


@pytest.mark.parametrize("n", [9, 11, 12, 13, 40, 101])
def test_pooling_reads_every_row_once(n: int) -> None:
    rows = np.random.default_rng(n).normal(size=(n, 3)).astype(np.float32)
    numeric.close(pool(rows, 8, whole=False), slow_pool(rows, 8))
    ones = np.eye(n, dtype=np.float32)
    assert (pool(ones, 8) > 0).sum() == n


def test_unit_length_is_the_published_one() -> None:
    stored = golden.arrays("utils")
    numeric.close(unit(stored["in/l2"]), stored["out/l2"])
    assert not unit(np.zeros((2, 3), np.float32)).any()


def test_gathered_rows_are_those_of_a_plain_slice() -> None:
    store = contexts([5, 30, 1], [4.6, 30.0, 0.4])
    videos = np.array([1, 0, 1, 2, 1], np.int32)
    spans = np.array([[4.0, 6.0], [0.0, 4.6], [2.0, 28.0], [0.0, 0.4], [28.0, 30.0]])
    windows = cut(videos, spans, store, CONFIG)
    np.testing.assert_array_equal(windows.lengths, [6, 5, 8, 1, 4])
    clips = gather(windows, store, CONFIG)
    for row, video in enumerate(videos):
        first, last = windows.first[row], windows.last[row]
        for name, found in ((FRAMES, clips.video), (SUBTITLES, clips.subtitles)):
            wanted = pool(store.video(video, name)[first:last].astype(np.float32), CONFIG.max_clips)
            numeric.close(found[row, : len(wanted)], unit(wanted))
            assert not found[row, len(wanted) :].any()
        np.testing.assert_array_equal(clips.mask[row], np.arange(8) < windows.lengths[row])
    numeric.close(windows.steps, [1, 1, 30 / 8, 1, 1], numeric.FLOAT64)
    numeric.close(windows.origins, [2, 0, 0, 0, 26], numeric.FLOAT64)


def test_missing_subtitle_rows_are_zero() -> None:
    store = contexts([6, 6, 20], [6.0, 6.0, 20.0], subtitles=[6, 0, 4])
    videos = np.array([0, 1, 2, 2], np.int32)
    spans = np.array([[0.0, 6], [0, 6], [0, 20], [10, 12]])
    clips = gather(cut(videos, spans, store, CONFIG), store, CONFIG)
    assert clips.subtitles[0].any()
    assert not clips.subtitles[1].any()
    assert clips.subtitles[2].any()
    assert not clips.subtitles[3].any()


def test_a_video_without_rows_has_an_empty_window() -> None:
    store = contexts([0, 3], [9.0, 3.0])
    windows = cut(np.array([0], np.int32), np.array([[0.0, 4.0]]), store, CONFIG)
    assert windows.lengths.tolist() == [0]
    assert gather(windows, store, CONFIG).mask.tolist() == [[0.0]]


def test_padding_is_tight_or_published() -> None:
    store = contexts([6], [6.0])
    spans = np.array([[0.0, 1.0], [0.0, 3.0]])
    windows = cut(np.zeros(2, np.int32), spans, store, CONFIG)
    assert gather(windows, store, CONFIG).video.shape == (2, 5, 4)
    published = WindowConfig(clip_length=1.0, context=2.0, max_clips=8, padding="published")
    assert gather(windows, store, published).video.shape == (2, 8, 4)


def test_another_clip_length_is_refused() -> None:
    with pytest.raises(Mismatch, match=r"every 1.0 s .* trained for 1.5 s"):
        cut(np.zeros(1, np.int32), np.zeros((1, 2)), contexts([3], [3.0]), WindowConfig())


def test_tokens_are_cut_padded_and_of_unit_length() -> None:
    sentences = [np.full((40, 2), 3.0), np.array([[0.0, 2.0]])]
    batch, mask = token_batch(sentences, WindowConfig(max_tokens=30))
    assert batch.shape == (2, 30, 2)
    assert mask.sum(1).tolist() == [30, 1]
    numeric.close(batch[1, 0], [0, 1])
    with pytest.raises(InvalidInput, match="no tokens"):
        token_batch([np.zeros((0, 2))], WindowConfig())
