"""Cues as rows on the grid."""

from fractions import Fraction

import numpy as np

from trainer.ingest.subtitles import MOST_IN_A_ROW, Cue, seen, subtitle_rows, usable


def test_rows_are_the_maximum_over_the_sentences_shown() -> None:
    vectors = {"a": np.array([1, -1], np.float32), "b": np.array([-2, 3], np.float32)}
    cues = [Cue(-1, 0.5, "a"), Cue(1, 2, "a"), Cue(1.9, 3.2, "b"), Cue(9, 99, "b")]
    rows = subtitle_rows(cues, vectors, 5, Fraction(1), 2)
    np.testing.assert_array_equal(rows, [[1, -1], [1, 3], [-2, 3], [-2, 3], [0, 0]])
    half = subtitle_rows([Cue(0, 2.1, "b")], vectors, 3, Fraction(1, 2), 2)
    np.testing.assert_array_equal(half, [[-2, 3], [-2, 3], [0, 0]])
    assert subtitle_rows([], {}, 4, Fraction(1), 2).tolist() == [[0, 0]] * 4


def test_what_no_row_shows_and_what_a_row_has_too_much_of_is_left_out() -> None:
    crowd = [Cue(1, 9, str(number)) for number in range(MOST_IN_A_ROW + 5)]
    later = [Cue(2, 3, "not shown"), Cue(9, 9.5, "shown"), Cue(12, 13, "after the end")]
    kept, left_out = seen([Cue(-2, 0, "before"), Cue(0, 1, "first"), *crowd, *later], 10, Fraction(1))
    assert [cue.text for cue in kept] == ["first", *(cue.text for cue in crowd[:MOST_IN_A_ROW]), "shown"]
    # Of five of the crowd and one later; what no row shows is none of them.
    assert left_out == 6


def test_a_hundred_thousand_sentences_at_once_are_few_to_encode() -> None:
    cues = [Cue(number % 50, 36_000, str(number)) for number in range(100_000)]
    kept, left_out = seen(sorted(cues, key=lambda cue: cue.start), 36_000, Fraction(1))
    assert (len(kept), left_out) == (MOST_IN_A_ROW, 100_000 - MOST_IN_A_ROW)


def test_captions_that_roll_say_each_line_once() -> None:
    """As YouTube's do: a line comes, stays while nothing is said, and moves up."""
    rolling = [
        Cue(0, 2, "hello big world"),
        Cue(2, 2.01, "hello big world"),
        Cue(2.01, 4, "hello big world\nhow are you"),
        Cue(4, 4.01, "how are you"),
        Cue(4.01, 6, "how are you\nfine"),
    ]
    assert usable(rolling) == [
        Cue(0, 2.01, "hello big world"),
        Cue(2.01, 4.01, "how are you"),
        Cue(4.01, 6, "fine"),
    ]
    three = [
        Cue(0, 1, "one"),
        Cue(1.03, 2, "one\ntwo"),
        Cue(2.03, 3, "one\ntwo\nthree"),
        Cue(3, 4, "two\nthree\nfour"),
    ]
    assert [cue.text for cue in usable(three)] == ["one", "two", "three", "four"]


def test_what_is_said_again_is_no_caption_that_rolls() -> None:
    apart = [Cue(0, 1, "yes"), Cue(2, 3, "yes\nwe can"), Cue(3, 4, "can"), Cue(4, 5, "can we")]
    assert [cue.text for cue in usable(apart)] == ["yes", "yes we can", "can", "can we"]
    # Of two that are shown at once neither is the other's predecessor.
    layers = [Cue(0, 9, "a title"), Cue(1, 2, "a title\nand words")]
    assert [cue.text for cue in usable(layers)] == ["a title", "a title and words"]


def test_layers_of_one_line_say_it_once() -> None:
    layers = [Cue(0, 1, "la la"), Cue(0, 1, "la la"), Cue(0, 1, "lo"), Cue(0, 2, "la la"), Cue(5, 6, "la la")]
    assert [(cue.start, cue.end, cue.text) for cue in usable(layers)] == [
        (0, 1, "la la"),
        (0, 1, "lo"),
        (0, 2, "la la"),
        (5, 6, "la la"),
    ]
