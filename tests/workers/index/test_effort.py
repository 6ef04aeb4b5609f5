from workers.index.effort import Effort, least


def test_nothing_is_raised_where_enough_is_found() -> None:
    assert least(lambda _: 0.99, Effort(10, 16), Effort(160, 256), 0.99) == (Effort(10, 16), 0.99)


def test_what_finds_more_is_raised() -> None:
    # Lists are what is short, then candidates.
    def measure(effort: Effort) -> float:
        return min(effort.nprobe / 64, 0.5 + effort.factor / 40)

    assert least(measure, Effort(10, 16), Effort(160, 256), 0.7) == (Effort(10, 45), 45 / 64)
    assert least(measure, Effort(10, 16), Effort(160, 256), 0.85) == (Effort(14, 67), 0.85)


def test_it_ends_where_nothing_is_left_to_raise() -> None:
    assert least(lambda _: 0.5, Effort(10, 16), Effort(35, 20), 0.99) == (Effort(35, 20), 0.5)
    assert least(lambda _: 0.5, Effort(), Effort(), 0.99) == (Effort(), 0.5)
    assert least(lambda _: 0.5, Effort(0, 16), Effort(0, 64), 0.99) == (Effort(0, 64), 0.5)
