"""Whether a silent process hangs, by what its threads do; the tests have a clock of their own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import silence
from engine.silence import Silence, spent

TIMEOUT = 10.0
Work = Callable[[float], tuple[float, float]]


class Process:
    """A process of one thread; work: seconds that it has run, and waited for a core, at each moment."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._told = folder / "7" / "task" / "7" / "schedstat"
        self._told.parent.mkdir(parents=True)
        self._now = 0.0
        monkeypatch.setattr(silence, "_PROC", folder)
        monkeypatch.setattr("engine.silence.time.monotonic", lambda: self._now)

    def killed(
        self, work: Work, until: float = 600, answers: float = -1, timeout: float = TIMEOUT
    ) -> float | None:
        """Return after how long without an answer it is taken to hang. answers: a moment when it does."""
        watched, last = Silence(), 0.0
        for moment in range(int(until)):
            self._now = float(moment)
            last = self._now if moment == answers else last
            ran, waited = work(self._now)
            self._told.write_text(f"{int(ran * 1e9)} {int(waited * 1e9)} 3\n")
            if watched.hangs(7, self._now - last, timeout):
                return self._now - last
        return None


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Process:
    return Process(tmp_path, monkeypatch)


def test_one_that_waits_for_nothing_is_killed_at_the_time_out(process: Process) -> None:
    assert process.killed(lambda now: (3.0 + 0.01 * now, 0.0)) == TIMEOUT


def test_one_that_gets_a_tenth_of_a_core_is_left_alone(process: Process) -> None:
    assert process.killed(lambda now: (0.1 * now, 0.9 * now), until=250) is None


def test_one_that_gets_no_core_at_all_is_left_alone(process: Process) -> None:
    assert process.killed(lambda now: (0.0, now)) is None


def test_one_that_loops_for_ever_is_killed_in_the_end(process: Process) -> None:
    assert process.killed(lambda now: (now, 0.0)) == pytest.approx(silence.TOIL * TIMEOUT, abs=TIMEOUT)


def test_one_that_works_and_then_hangs_is_killed_soon_after(process: Process) -> None:
    found = process.killed(lambda now: (min(now, 22.0), 0.0))
    assert found is not None
    assert 22.0 < found <= 22.0 + TIMEOUT


def test_one_that_waited_and_works_again_is_left_alone(process: Process) -> None:
    assert process.killed(lambda now: (max(0.0, now - 5.0), 0.0), until=25, timeout=9) is None


def test_an_answer_begins_anew(process: Process) -> None:
    assert process.killed(lambda now: (0.0, 0.0), answers=9) == TIMEOUT


def test_without_a_time_out_or_with_a_new_process_none_hangs(process: Process) -> None:
    watched = Silence()
    assert not watched.hangs(7, 1e9, 0)
    assert not any(watched.hangs(pid, 1e9, TIMEOUT) for pid in (7, 8))


def test_where_nothing_is_told_silence_alone_counts(process: Process, tmp_path: Path) -> None:
    watched = Silence()
    assert not watched.hangs(9, 0, TIMEOUT)
    process._now = TIMEOUT
    assert watched.hangs(9, TIMEOUT, TIMEOUT)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="the system does not count")
def test_a_process_that_computes_has_run() -> None:
    before = sum(ran for ran, _ in spent(os.getpid()).values())
    sum(range(2_000_000))
    assert sum(ran for ran, _ in spent(os.getpid()).values()) > before
