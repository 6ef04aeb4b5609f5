"""Timecode: every label leads back to its frame, and drop-frame keeps up with the clock."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some

from engine.errors import InvalidInput
from spr_gateway.exports.timecode import NTSC, Counting, can_drop, counted

RATES = [Fraction(n) for n in (10, 15, 24, 25, 30, 48, 50, 60, 120)] + [
    n * NTSC for n in (24, 30, 48, 60, 120)
]
COUNTINGS = [Counting(rate, drop) for rate in RATES for drop in (False, True) if not drop or can_drop(rate)]
FRAMES = some.integers(0, 400 * 24 * 3600)
COUNTING = some.sampled_from(COUNTINGS)


@given(COUNTING, FRAMES)
def test_every_label_leads_back_to_its_frame(counting: Counting, frame: int) -> None:
    assert counting.frame(counting.label(frame)) == frame % counting.day


@given(COUNTING, FRAMES, FRAMES)
def test_a_start_timecode_moves_all_labels(counting: Counting, start: int, frame: int) -> None:
    begun = counting.frame(counting.label(start))
    assert (counting.frame(counting.label(begun + frame)) - begun) % counting.day == frame % counting.day


@given(COUNTING, some.integers(0, 4 * 3600 * 60))
def test_the_edge_of_a_frame_in_floats_is_that_frame(counting: Counting, frame: int) -> None:
    edge = counting.seconds(frame)
    for seconds in (float(edge), round(float(edge), 9), float(edge) + 1e-6, max(0.0, float(edge) - 1e-6)):
        assert counting.first(seconds) == counting.end(seconds) == frame
    between = float(edge + 1 / counting.rate / 2)
    assert (counting.first(between), counting.end(between)) == (frame, frame + 1)


@given(some.sampled_from([each for each in COUNTINGS if each.drop]), some.integers(0, 30 * 86399))
def test_drop_frame_labels_keep_up_with_the_clock(counting: Counting, frame: int) -> None:
    hours, minutes, seconds = map(int, counting.label(frame).replace(";", ":").split(":")[:3])
    shown = hours * 3600 + minutes * 60 + seconds
    assert abs(shown - counting.seconds(frame % counting.day)) < Fraction(11, 10)


@pytest.mark.parametrize(
    ("rate", "drop", "frame", "label"),
    [
        # SMPTE ST 12-1: frames 0 and 1 are left out but for every tenth minute; at 60 the first four.
        (30 * NTSC, True, 1799, "00:00:59;29"),
        (30 * NTSC, True, 1800, "00:01:00;02"),
        (30 * NTSC, True, 17982, "00:10:00;00"),
        (30 * NTSC, True, 107892, "01:00:00;00"),
        (60 * NTSC, True, 3600, "00:01:00;04"),
        (30 * NTSC, False, 108000, "01:00:00:00"),
        (24 * NTSC, False, 86400, "01:00:00:00"),
        (Fraction(25), False, 24 * 3600 * 25, "00:00:00:00"),
        (Fraction(120), False, 119, "00:00:00:119"),
    ],
)
def test_known_labels(rate: Fraction, drop: bool, frame: int, label: str) -> None:
    assert Counting(rate, drop).label(frame) == label
    assert Counting(rate, drop).frame(label) == frame % Counting(rate, drop).day


@pytest.mark.parametrize(
    "label", ["", "1:00:00:00", "00:01:00;01", "00:00:00;30", "24:00:00:00", "00:60:00:00"]
)
def test_what_is_no_label_is_refused(label: str) -> None:
    with pytest.raises(InvalidInput, match="is no timecode at"):
        Counting(30 * NTSC, True).frame(label)


def test_rates_without_drop_frame_or_timecode_are_refused() -> None:
    for rate, drop in ((Fraction(25), True), (Fraction(30), True), (Fraction(25, 2), False)):
        with pytest.raises(InvalidInput, match="have no"):
            Counting(rate, drop)


@pytest.mark.parametrize(
    ("measured", "wanted"),
    [
        (Fraction("29.97"), 30 * NTSC),
        (Fraction(10000000, 333667), 30 * NTSC),
        (Fraction("23.976"), 24 * NTSC),
        (Fraction("59.94"), 60 * NTSC),
        (Fraction("29.9999"), Fraction(30)),
        (Fraction("12.5"), Fraction(25)),
        (Fraction("24.6"), Fraction(25)),
        (Fraction("7.5"), Fraction(15)),
    ],
)
def test_measured_rates_are_counted_as_cameras_mean_them(measured: Fraction, wanted: Fraction) -> None:
    assert counted(measured) == wanted
