"""Clocks that are set anew among pictures that are far apart."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import av
import pytest
from av.format import Flags

from trainer.ingest.leaps import Leaps

STREAM: Any = SimpleNamespace(format=SimpleNamespace(flags=Flags.ts_discont.value))
REGULAR = [7200.0 + number / 25 for number in range(100)]


def packet(time: float) -> Any:
    made = av.Packet(1)
    made.pts = made.dts = round(time * 1000)
    made.duration, made.time_base = 40, Fraction(1, 1000)
    return made


@pytest.mark.parametrize(
    ("times", "offset"),
    [
        # Slides alone, and behind what is regular.
        ([20.0 + 12 * number for number in range(9)], 0),
        ([*REGULAR, *(7216.0 + 12 * number for number in range(9))], 0),
        # A second recording of slides begins where the first ends.
        ([*REGULAR, *(20.0 + 12 * number for number in range(9))], 7204 - 20),
        ([*REGULAR, *(number / 25 for number in range(100)), *(16.0 + 12 * n for n in range(9))], 7204),
    ],
)
def test_pictures_far_apart_keep_the_clock_that_runs(times: list[float], offset: float) -> None:
    leaps = Leaps(STREAM)
    for time in times:
        leaps.take(packet(time))
    assert leaps.offset == pytest.approx(offset)
