from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import InvalidInput
from engine.types import Doubles, Floats, Ordinals, Ranked
from tests import numeric
from tests.workers.ranker.queries import of_embedding, rank
from workers.ranker.scoring.similarity_curve import CurveConfig, SimilarityCurve, best_cut, smoothed
from workers.ranker.stores.features import FRAMES, SUBTITLES, FeatureMaps, FeatureStream

DIM = 16
QUERY = np.eye(DIM, dtype=np.float32)[0] * 3


def contexts(
    events: Sequence[Sequence[tuple[int, int]]],
    seconds: Sequence[float],
    spoken: Sequence[Sequence[tuple[int, int]]] | None = None,
) -> FeatureMaps:
    """Videos in which the query is seen during `events`, heard during `spoken`: (first, end) seconds."""
    random = np.random.default_rng(0)
    counts = [max(1, int(np.ceil(length))) for length in seconds]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    frames = 0.3 * random.normal(size=(offsets[-1], DIM))
    subtitles = np.zeros((offsets[-1], DIM))
    for video, spans in enumerate(events):
        for first, end in spans:
            frames[offsets[video] + first : offsets[video] + end, 0] += 2.0
    for video, spans in enumerate(spoken or []):
        # Somebody talks all the time, about the query only then.
        subtitles[offsets[video] : offsets[video + 1], 1] = 1.0
        for first, end in spans:
            subtitles[offsets[video] + first : offsets[video] + end, 0] += 4.0
    streams = {
        FRAMES: FeatureStream.of(frames.astype(np.float16), counts, 1.0),
        SUBTITLES: FeatureStream.of(subtitles.astype(np.float16), counts, 1.0),
    }
    return FeatureMaps(streams, np.asarray(seconds, np.float64))


def readable_cut(
    curve: Doubles, length: int, inside: tuple[int, int], config: CurveConfig
) -> tuple[float, set[tuple[int, int]]]:
    """Try every span of a window; return the largest sum above the level and the spans that reach it."""
    values = [float(value) for value in curve[:length]]
    if not values:
        return 0.0, set()
    peak = max(values[inside[0] : inside[1]])
    background = sorted(values)[int(config.background * (length - 1))]
    if peak - background <= 1e-6:
        return 0.0, set()
    level = background + config.level * (peak - background)
    sums = {
        (first, last): sum(value - level for value in values[first:last])
        for first in range(min(inside[1], length))
        for last in range(max(first, inside[0]) + 1, length + 1)
    }
    best = max(sums.values())
    return best, {span for span, total in sums.items() if total > best - 1e-9}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_cuts_are_those_of_the_loop(data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.lists(st.integers(-3, 3), max_size=9), min_size=1, max_size=5))
    width = max(len(row) for row in rows)
    curve, lengths, inside = np.zeros((len(rows), width)), np.array([len(row) for row in rows]), []
    for i, row in enumerate(rows):
        curve[i, : len(row)] = row
        first = data.draw(st.integers(0, max(len(row) - 1, 0)))
        inside.append((first, data.draw(st.integers(first + 1, max(len(row), 1)))))
    cut = best_cut(curve, lengths, np.array(inside), CurveConfig())
    for i in range(len(rows)):
        _, spans = readable_cut(curve[i], int(lengths[i]), inside[i], CurveConfig())
        assert bool(cut.clear[i]) == bool(spans)
        if spans:
            assert (cut.first[i], cut.last[i]) in spans


def test_smoothing_stays_inside_the_window() -> None:
    curve = np.array([[0.0, 4.0, 0.0, 100.0], [3.0, 0.0, 0.0, 0.0]])
    expected = [[4 / 3, 2.0, 4 / 3, 0.0], [3.0, 0.0, 0.0, 0.0]]
    numeric.close(smoothed(curve, np.array([3, 1])), expected, numeric.FLOAT64)


def ask(
    embedding: Floats,
    store: FeatureMaps,
    videos: Ordinals,
    spans: Doubles,
    scores: Floats | None = None,
    config: CurveConfig | None = None,
) -> Ranked:
    return rank(SimilarityCurve(config), of_embedding(embedding, videos, spans, scores), store)


def test_borders_move_to_where_the_frames_change() -> None:
    store = contexts([[(13, 22)], [(5, 9)], []], [60.0, 30.0, 40.0])
    spans = np.array([[12.0, 20.0], [4.0, 12.0], [8.0, 16.0]])
    answer = ask(QUERY, store, np.array([0, 1, 2], np.int32), spans, np.array([0.5, 0.5, 0.5], np.float32))
    numeric.close(answer.spans[:2], [[13.0, 22.0], [5.0, 9.0]], numeric.FLOAT64)
    assert answer.refined[:2].all()
    assert answer.scores[2] < answer.scores[:2].min()
    assert answer.relevances[2] < 0.5 < answer.relevances[:2].min() <= 1.0


def test_the_best_second_is_the_frame_of_the_span_most_like_the_query() -> None:
    store = contexts([[(13, 22)], [(5, 9)], [(2, 7)]], [60.0, 30.0, 7.4])
    videos, spans = np.array([0, 1, 2, 2], np.int32), np.array([[12.0, 20], [4, 12], [0, 7.4], [0, 4]])
    answer = ask(QUERY, store, videos, spans)
    assert answer.best is not None
    assert answer.refined.all()
    for video, (start, end), best in zip(videos, answer.spans, answer.best, strict=True):
        frames = store.video(int(video), FRAMES).astype(np.float32)
        cosines = frames @ QUERY / np.linalg.norm(frames, axis=1)
        assert best == start + cosines[int(start) : int(np.ceil(end))].argmax()
    flat = ask(QUERY, contexts([[]], [0.4]), videos[:1], np.array([[0.0, 0.4]]))
    assert not flat.refined[0]
    assert np.isnan(flat.shown[0])


def test_a_coarse_score_breaks_the_tie() -> None:
    store = contexts([[(13, 22)], [(13, 22)]], [60.0, 60.0])
    videos, spans = np.array([0, 1], np.int32), np.array([[12.0, 24.0], [12.0, 24.0]])
    answer = ask(QUERY, store, videos, spans, np.array([0.2, 0.9], np.float32))
    assert answer.scores[1] > answer.scores[0]


def test_of_proposals_that_lead_to_the_same_moment_one_stays_in_front() -> None:
    store = contexts([[(13, 22)], []], [60.0, 60.0])
    videos, spans = np.array([0, 0, 1], np.int32), np.array([[12.0, 24.0], [8.0, 20.0], [12.0, 24.0]])
    coarse = np.ones(3, np.float32)
    scores = ask(QUERY, store, videos, spans, coarse).scores
    repeated = ask(QUERY, store, videos, spans, coarse, CurveConfig(overlap=1.0)).scores
    assert repeated[:2].min() > repeated[2]
    assert scores[:2].max() > scores[2] > scores[:2].min()


def test_what_is_said_counts_where_nothing_is_seen() -> None:
    store = contexts([[], []], [60.0, 60.0], spoken=[[(30, 36)], []])
    videos, spans = np.array([0, 1], np.int32), np.array([[28.0, 40.0], [28.0, 40.0]])
    config = CurveConfig(subtitle_weight=1.0)
    answer = ask(QUERY, store, videos, spans, None, config)
    numeric.close(answer.spans[0], [30.0, 36.0], 1.0, scale=1)
    assert answer.scores[0] > answer.scores[1]


def test_long_proposals_short_videos_and_odd_ends() -> None:
    store = contexts([[(1000, 1900)], [(0, 1)], [(0, 2)]], [3600.0, 0.4, 7.3])
    videos = np.array([0, 1, 2], np.int32)
    spans = np.array([[900.0, 2100.0], [0.0, 0.4], [4.0, 7.3]])
    answer = ask(QUERY, store, videos, spans, np.zeros(3, np.float32))
    numeric.close(answer.spans[0], [1000.0, 1900.0], 1.0, scale=1)
    numeric.close(answer.spans[1], [0.0, 0.4], numeric.FLOAT64)
    assert not answer.refined[1]
    durations = store.durations[videos]
    assert (answer.spans[:, 0] >= 0).all()
    assert (answer.spans[:, 1] <= durations).all()
    assert (answer.spans[:, 1] > answer.spans[:, 0]).all()
    # The refined moment shares time with its proposal.
    assert (np.minimum(answer.spans[:, 1], spans[:, 1]) > np.maximum(answer.spans[:, 0], spans[:, 0])).all()


def test_proposals_are_independent_but_for_the_scale_of_scores() -> None:
    store = contexts([[(13, 22)], [(5, 9)], [(30, 33)]], [60.0, 30.0, 40.0])
    videos, spans = np.array([0, 1, 2], np.int32), np.array([[12.0, 20], [4, 12], [28, 36]])
    together = ask(QUERY, store, videos, spans, np.ones(3, np.float32))
    for row in range(3):
        one = slice(row, row + 1)
        alone = ask(QUERY, store, videos[one], spans[one], np.ones(1, np.float32))
        numeric.close(alone.spans, together.spans[one], numeric.FLOAT64)
        numeric.close(alone.relevances, together.relevances[one])


def test_no_proposals_and_a_wrong_embedding() -> None:
    store = contexts([[]], [10.0])
    none = ask(QUERY, store, np.zeros(0, np.int32), np.zeros((0, 2)))
    assert len(none) == 0
    with pytest.raises(InvalidInput, match=r"shape \(3,\), the frame features are 16 wide"):
        ask(QUERY[:3], store, np.zeros(1, np.int32), np.zeros((1, 2)))
