"""Timestamps to grid rows, against the slow truth."""

import math
from collections.abc import Sequence
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from trainer.ingest.clock import Clock, Grid
from trainer.ingest.container import MICROSECONDS

TB = Fraction(1, 1000)
TENTH = Fraction(1, 10)


def place(
    stamps: Sequence[tuple[int | None, int | None]], dts: Sequence[int | None] | None = None
) -> list[float | None]:
    clock = Clock(TB, TENTH)
    decoding = dts or [None] * len(stamps)
    times = [clock.place(pts, d, length) for (pts, length), d in zip(stamps, decoding, strict=True)]
    return [None if time is None else float(time) for time in times]


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
    clock, grid = Clock(TB, TENTH), Grid(fps)
    counts = []
    for stamp in pts:
        time = clock.place(stamp, None, last)
        assert time is not None
        counts.append(grid.until(time))
    counts = [*counts[1:], grid.close(clock.end)]
    chosen = [index for index, count in enumerate(counts) for _ in range(count)]
    duration = (pts[-1] - first + last) * TB
    assert len(chosen) == grid.rows == max(1, math.ceil(duration * fps))
    for row, index in enumerate(chosen):
        assert index == max(i for i, stamp in enumerate(pts) if (stamp - first) * TB <= row / fps)


@given(
    st.lists(
        st.tuples(st.none() | st.integers(-(10**12), 10**12), st.none() | st.integers(-5, 10**6)), max_size=30
    )
)
def test_time_runs_forward_whatever_the_file_says(stamps: list[tuple[int | None, int | None]]) -> None:
    clock = Clock(MICROSECONDS, TENTH)
    before = None
    for pts, duration in stamps:
        time = clock.place(pts, pts, duration)
        assert time is not None or before is not None
        if time is not None:
            assert before is None or time > before
            assert clock.end > time
            before = time


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
