"""Lists of proposals with grades."""

import numpy as np

from trainer.ranker.lists import Graded, Lists, joined
from trainer.ranker.mining import Mined


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
