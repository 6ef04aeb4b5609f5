"""Timestamps to grid rows, against the slow truth."""

import math
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.ingest.clock import Clock
from trainer.ingest.extent import MICROSECONDS
from trainer.ingest.grid import Grid

TB = Fraction(1, 1000)
TENTH = Fraction(1, 10)


def place(
    stamps: Sequence[tuple[int | None, int | None]],
    dts: Sequence[int | None] | None = None,
    *,
    leaps: bool = False,
    until: Fraction | None = None,
) -> list[float | None]:
    """Return the second of each frame, None for one that is passed over."""
    clock: Clock[int] = Clock(TB, TENTH, leaps=leaps, until=until)
    decoding = dts or [None] * len(stamps)
    times: dict[int, float] = {}
    for index, ((pts, length), d) in enumerate(zip(stamps, decoding, strict=True)):
        times |= {item: float(time) for item, time in clock.place(index, pts, d, length)}
    times |= {item: float(time) for item, time in clock.close()}
    return [times.get(index) for index in range(len(stamps))]


@settings(deadline=None)
@given(
    gaps=st.lists(st.integers(1, 5000), max_size=40),
    first=st.integers(-5000, 5000),
    last=st.integers(1, 3000),
    fps=st.fractions(Fraction(1, 10), 30, max_denominator=100),
)
def test_every_grid_point_gets_the_frame_shown_then(
    gaps: list[int], first: int, last: int, fps: Fraction
) -> None:
    pts = [first]
    for gap in gaps:
        pts.append(pts[-1] + gap)
    clock: Clock[int] = Clock(TB, TENTH)
    grid = Grid(fps)
    placed = [pair for stamp in pts for pair in clock.place(stamp, stamp, None, last)] + clock.close()
    assert [stamp for stamp, _ in placed] == pts
    counts = [grid.until(time) for _, time in placed]
    counts = [*counts[1:], grid.close(clock.end)]
    chosen = [index for index, count in enumerate(counts) for _ in range(count)]
    duration = (pts[-1] - first + last) * TB
    assert len(chosen) == grid.rows == max(1, math.ceil(duration * fps))
    for row, index in enumerate(chosen):
        assert index == max(i for i, stamp in enumerate(pts) if (stamp - first) * TB <= row / fps)


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.none() | st.integers(-(10**12), 10**12), st.none() | st.integers(-5, 10**6)), max_size=30
    ),
    st.booleans(),
)
def test_time_runs_forward_whatever_the_file_says(
    stamps: list[tuple[int | None, int | None]], leaps: bool
) -> None:
    clock: Clock[int] = Clock(MICROSECONDS, TENTH, leaps=leaps)
    placed = [
        pair
        for index, (pts, duration) in enumerate(stamps)
        for pair in clock.place(index, pts, pts, duration)
    ] + clock.close()
    times = [time for _, time in placed]
    assert times == sorted(set(times))
    assert bool(times) == bool(stamps)
    assert not times or clock.end > times[-1]
    assert [index for index, _ in placed] == sorted(index for index, _ in placed)


def test_missing_timestamps_follow_the_frame_before() -> None:
    assert place([(None, 40), (None, 40), (None, None), (None, None)]) == [0, 0.04, 0.08, 0.12]
    assert place([(500, 100), (None, 100), (700, 100)]) == [0, 0.1, 0.2]
    assert place([(None, None), (None, None)]) == [0, 0.1]


def test_a_frame_out_of_order_is_passed_over() -> None:
    assert place([(i * 100, 100) for i in range(20)] + [(1850, 100), (2000, 100)])[-2:] == [None, 2.0]


def test_a_clock_that_is_set_anew_runs_on() -> None:
    back = [(9000, 100), (9100, 100), (0, 100), (100, 100), (200, 100)]
    assert place(back) == [0, 0.1, 0.2, 0.3, 0.4]
    days = 1000 * 3600 * 24 * 400
    assert place([(0, 100), (100, 100), (days, 100), (days + 100, 100)]) == [0, 0.1, 0.2, 0.3]
    assert place([(0, 100), (3_600_000, 100)]) == [0, 3600]


def test_decoding_times_count_where_presentation_times_run_back_and_forth() -> None:
    pts = [100, 300, 200, 500, 400, 600, 900, 800, 1000, 700, 1100]
    dts = [200, 300, 400, 500, 600, 700, 800, 900, 1000, 1100, 1200]
    times = place([(stamp, 100) for stamp in pts], dts)
    assert times == [0, 0.2, None, *[round(0.1 * i, 1) for i in range(3, 11)]]


def test_a_single_late_frame_does_not_change_the_clock() -> None:
    pts = [i * 100 for i in range(30)]
    pts[20] = 1850
    times = place([(stamp, 100) for stamp in pts], [stamp - 200 for stamp in range(0, 3000, 100)])
    assert times == [None if i == 20 else i / 10 for i in range(30)]


FLOW = [(i * 40, 40) for i in range(100)]


@pytest.mark.parametrize("stray", [-90_000, 2500, 7000, 100_000, 10**9], ids=str)
@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("leaps", [False, True])
def test_a_stray_timestamp_shifts_nothing_behind_it(stray: int, count: int, leaps: bool) -> None:
    """Also several in turn, as a decoder lets go of old pictures after damage."""
    stamps = list(FLOW)
    strays = range(50, 50 + 2 * count, 2)
    for place_of in strays:
        stamps[place_of] = (place_of * 40 + stray, 40)
    times = place(stamps, leaps=leaps)
    right = [i * 40 / 1000 for i in range(100)]
    assert [t for i, t in enumerate(times) if i not in strays] == [
        t for i, t in enumerate(right) if i not in strays
    ]


def test_strays_in_a_row_shift_nothing_either() -> None:
    stamps = [*FLOW[:60], (200, 40), (240, 40), (280, 40), *FLOW[60:]]
    assert place(stamps) == [
        *[i / 25 for i in range(60)],
        None,
        None,
        None,
        *[i / 25 for i in range(60, 100)],
    ]


@pytest.mark.parametrize("ahead", [5_000_000, 15_000, -3_000_000])
def test_joined_recordings_run_on_where_the_format_allows_it(ahead: int) -> None:
    second = [(4000 + ahead + stamp, 40) for stamp, _ in FLOW]
    assert place([*FLOW, *second], leaps=True) == [i / 25 for i in range(200)]


def test_a_pause_stays_a_pause_elsewhere() -> None:
    second = [(4000 + 5_000_000 + stamp, 40) for stamp, _ in FLOW]
    assert place([*FLOW, *second])[100] == 5004


def test_pictures_half_a_minute_apart_are_no_leaps() -> None:
    assert place([(i * 30_000, 40) for i in range(40)], leaps=True) == [i * 30 for i in range(40)]


def test_pictures_that_were_left_out_make_no_leap() -> None:
    clock = Clock[str](TB, TENTH)
    clock.place("a", 0, None, None)
    assert clock.place("b", 5000, None, None, before=4960) == [("b", Fraction(5))]
    assert (clock.gaps, clock.end) == (Fraction(0), Fraction(504, 100))


def test_time_can_begin_before_the_first_frame() -> None:
    clock: Clock[str] = Clock(TB, TENTH)
    clock.begin(1000)
    assert clock.place("a", 4000, None, 100) == [("a", Fraction(3))]
    assert (clock.first, clock.end) == (Fraction(1), Fraction(31, 10))


@pytest.mark.parametrize("ahead", [-1500, 40_000, 80_000_000])
def test_a_stretch_of_wrong_time_shifts_nothing_behind_it(ahead: int) -> None:
    """As where the time of one cluster of a Matroska file is damaged."""
    stamps = [(stamp + (ahead if 30 <= i < 60 else 0), 40) for i, (stamp, _) in enumerate(FLOW)]
    times = place(stamps, until=Fraction(4))
    assert times[:30] + times[62:] == [i / 25 for i in [*range(30), *range(62, 100)]]
