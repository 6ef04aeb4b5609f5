"""Cues as rows on the grid."""

from fractions import Fraction

import numpy as np

from trainer.ingest.subtitles import Cue, subtitle_rows


def test_rows_are_the_maximum_over_the_sentences_shown() -> None:
    vectors = {"a": np.array([1, -1], np.float32), "b": np.array([-2, 3], np.float32)}
    cues = [Cue(-1, 0.5, "a"), Cue(1, 2, "a"), Cue(1.9, 3.2, "b"), Cue(9, 99, "b")]
    rows = subtitle_rows(cues, vectors, 5, Fraction(1), 2)
    np.testing.assert_array_equal(rows, [[1, -1], [1, 3], [-2, 3], [-2, 3], [0, 0]])
    half = subtitle_rows([Cue(0, 2.1, "b")], vectors, 3, Fraction(1, 2), 2)
    np.testing.assert_array_equal(half, [[-2, 3], [-2, 3], [0, 0]])
    assert subtitle_rows([], {}, 4, Fraction(1), 2).tolist() == [[0, 0]] * 4
