import numpy as np

from engine.types import Doubles
from workers.index.effort import Effort, least


def test_nothing_is_raised_where_enough_is_found() -> None:
    assert least(lambda _: np.array([0.99]), Effort(10, 16), Effort(160, 256), 0.99) == (Effort(10, 16), 0.99)


def test_what_finds_more_is_raised() -> None:
    # Lists are what is short, then candidates.
    def measure(effort: Effort) -> Doubles:
        return np.array([min(effort.nprobe / 64, 0.5 + effort.factor / 40)])

    assert least(measure, Effort(10, 16), Effort(160, 256), 0.7) == (Effort(10, 45), 45 / 64)
    assert least(measure, Effort(10, 16), Effort(160, 256), 0.85) == (Effort(14, 67), 0.85)


def test_it_ends_where_nothing_is_left_to_raise() -> None:
    assert least(lambda _: np.array([0.5]), Effort(10, 16), Effort(35, 20), 0.99) == (Effort(35, 20), 0.5)
    assert least(lambda _: np.array([0.5]), Effort(), Effort(), 0.99) == (Effort(), 0.5)
    assert least(lambda _: np.array([0.5]), Effort(0, 16), Effort(0, 64), 0.99) == (Effort(0, 64), 0.5)


def test_a_standard_error_is_to_spare_where_it_can_be_had() -> None:
    # Half of the queries find a tenth less: the standard error of four is 0.025.
    def measure(effort: Effort) -> Doubles:
        return effort.nprobe / 100 + np.array([-0.05, 0.05, -0.05, 0.05])

    assert least(measure, Effort(0, 64), Effort(0, 100), 0.8) == (Effort(0, 83), 0.83)
    effort, recall = least(measure, Effort(0, 64), Effort(0, 90), 0.89)
    assert 0.89 <= recall < 0.915
    assert effort.nprobe <= 90
