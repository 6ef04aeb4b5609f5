"""When a screen is read."""

from collections.abc import Sequence
from itertools import pairwise

from tests.trainer.screen.factories import Picture, moving, written
from trainer.screen.watching import LATE, RATE, SOON, Watch, grey_of


def readings(pictures: Sequence[Picture], new: bool = True) -> list[float]:
    """Return the times at which pictures, RATE a second, are read. new: whether it always pays."""
    watch, times = Watch(), []
    for number, picture in enumerate(pictures):
        if watch.look(number / float(RATE), grey_of(picture)):
            times.append(number / float(RATE))
            watch.read(new)
    return times


def for_seconds(picture: Picture, seconds: float) -> list[Picture]:
    return [picture] * round(seconds * RATE)


def test_a_talk_of_minutes_is_read_once_a_slide() -> None:
    slides = [written(f"slide {number}", "what it says") for number in range(6)]
    pictures = [picture for slide in slides for picture in for_seconds(slide, 30)]
    assert readings(pictures, new=False) == [0, 30.5, 60.5, 90.5, 120.5, 150.5]


def test_small_print_on_a_picture_that_stands_is_not_missed() -> None:
    for size, letters in (((128, 128), 7), ((320, 180), 8), ((1280, 720), 12)):
        empty, print_ = written(size=size), written("RE16", size=size, letters=letters)
        pictures = [*for_seconds(empty, 20), *for_seconds(print_, 1), *for_seconds(empty, 5)]
        assert 20.5 in readings(pictures, new=False)


def test_what_moves_is_read_now_and_then() -> None:
    pictures = [moving(number) for number in range(round(60 * RATE))]
    often, rarely = readings(pictures, new=True), readings(pictures, new=False)
    assert len(often) <= 60 / SOON + 1
    # Some at first, until it is known that nothing is to be read.
    assert len(rarely) <= 60 / LATE + 3
    assert max(late - soon for soon, late in pairwise(rarely)) <= LATE


def test_a_cut_is_read_at_once_however_little_there_was_before() -> None:
    film = [moving(number) for number in range(40)]
    card = written("THE END", size=(320, 180), letters=30)
    times = readings([*film, *for_seconds(card, 1.5)], new=False)
    assert times[-1] <= 40 / RATE + 1.0
    assert times[-1] >= 40 / RATE
