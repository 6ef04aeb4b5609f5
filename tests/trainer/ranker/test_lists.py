"""Lists of graded proposals."""

import numpy as np

from tests import numeric
from tests.trainer.ranker.pairs import ORDINALS, QUERIES, WINDOW, contexts
from trainer.ranker.data import pairs_of
from trainer.ranker.lists import Graded, Lists, joined
from trainer.ranker.mining import Mined
from workers.ranker.model.windows import cut


def test_lists_grade_proposals_by_what_their_windows_show() -> None:
    store = contexts([60, 60, 20])
    pairs = pairs_of(QUERIES, ORDINALS, -1.0)
    graded = Graded.of(pairs.query, pairs.video, pairs.moments, pairs.similarity, len(QUERIES))
    spans = np.array([[0.0, 4], [24, 28], [8, 12], [0, 4]])
    windows = cut(np.array([0, 1, 1, 2], np.int32), spans, store, WINDOW)
    worth = graded.worth(np.array([0, 1]), windows)
    high = 2 ** (4 * 0.9) - 1
    # Of 20..31.5 the window 20..32 shows all, of 2..9 the window 0..8 shows six sevenths.
    numeric.close(worth[0], [high * 6 / 7, high, 0, 2**0.4 - 1])
    assert not worth[1].any()


def test_lists_join_the_right_and_the_wrong_proposals() -> None:
    first = Mined.of(
        [(np.array([5], np.int32), np.array([[0.0, 1]])), (np.zeros(0, np.int32), np.zeros((0, 2)))]
    )
    second = Mined.of(
        [
            (np.zeros(0, np.int32), np.zeros((0, 2))),
            (np.array([6, 7], np.int32), np.array([[0.0, 2], [0, 3]])),
        ]
    )
    both = joined(first, np.array([1, 0]), second, 2)
    assert both.offsets.tolist() == [0, 0, 3]
    assert both.videos.tolist() == [5, 6, 7]
    videos, spans = Lists(
        both, Graded.of(*(np.zeros(0, int),) * 2, np.zeros((0, 2)), np.zeros(0, np.float32), 2), 4
    ).draw(np.array([0, 1]), np.random.default_rng(0))
    assert len(videos) == len(spans) == 4
