"""Pools of processes: whatever ends the one that began them ends them too, and nothing is said of it."""

import multiprocessing
import multiprocessing.connection
import os
import select
import signal
import subprocess
import sys
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tests import apart
from trainer.pools import pool


def pid(_: int) -> int:
    return os.getpid()


def begin_and_end(file: Path, ending: signal.Signals) -> None:
    """Begin a pool, write down who is in it and what it left to this process, and end by a signal."""
    with pool(2) as processes:
        list(processes.map(pid, range(2)))
        file.write_text("\n".join(str(child.pid) for child in multiprocessing.active_children()))
        os.kill(os.getpid(), ending)
        list(processes.map(pid, range(10**6)))


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_its_processes_end_with_the_one_that_began_them(tmp_path: Path, ending: signal.Signals) -> None:
    file, log = tmp_path / "pids", tmp_path / "log"
    assert apart.call(log, begin_and_end, file, ending) != 0
    found = [int(line) for line in file.read_text().split()]
    assert len(found) == 2
    for number in found:
        try:
            handle = os.pidfd_open(number)
        except ProcessLookupError:
            continue
        ready, _, _ = select.select([handle], [], [], 60)
        os.close(handle)
        assert ready, "it waits for work that nobody gives it"


KILLED = """
import os, signal
from trainer.pools import pool
with pool(1) as processes:
    processes.submit(os.getpid).result()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_tidies_up_after_a_killed_one_says_nothing() -> None:
    # In a process of no other: what tidies up is begun by the first that needs it.
    found = subprocess.run([sys.executable, "-c", KILLED], capture_output=True, check=False, timeout=300)
    assert (found.returncode, found.stdout, found.stderr) == (-signal.SIGKILL, b"", b"")


def fail() -> None:
    with pool(1) as processes:
        processes.submit(pid, 0).result()
        raise ZeroDivisionError


def test_an_error_ends_them_and_is_raised() -> None:
    others = set(multiprocessing.active_children())
    with pytest.raises(ZeroDivisionError):
        fail()
    for child in set(multiprocessing.active_children()) - others:
        # The pool's own thread may be the one that learns how it ended.
        assert multiprocessing.connection.wait([child.sentinel], 60), "it waits for work that nobody gives it"


FAILED = """
from trainer.pools import pool
with pool(2) as processes:
    first, *_ = [processes.submit(bytes, 30_000_000) for _ in range(40)]
    first.result()
    raise SystemExit(7)
"""


def test_an_error_while_they_write_results_ends_it_all_the_same() -> None:
    found = subprocess.run([sys.executable, "-c", FAILED], capture_output=True, check=False, timeout=300)
    assert (found.returncode, found.stdout, found.stderr) == (7, b"", b"")


def meet(all_there: Barrier, heeds: "SimpleQueue[bool]") -> None:
    """Wait for the other processes, so that each is started, and tell whether Ctrl-C reaches this one."""
    all_there.wait(60)
    heeds.put(signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, []))


def test_ctrl_c_is_left_to_the_one_that_began_them_by_each() -> None:
    context = multiprocessing.get_context("spawn")
    heeds: SimpleQueue[bool] = context.SimpleQueue()
    with pool(2, meet, context.Barrier(2), heeds) as processes:
        list(processes.map(pid, range(2)))
    assert [heeds.get() for _ in range(2)] == [False, False]


def test_what_it_is_given_is_called_first_in_each() -> None:
    with pool(1, os.umask, 0o027) as processes:
        assert processes.submit(os.umask, 0).result() == 0o027
