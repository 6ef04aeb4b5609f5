"""What a file of tests leaves running: threads and processes would go on beside the tests of other files.

One that draws random numbers, or logs, makes a test fail that has nothing to do with it.
"""

import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests import fork_server

# Of libraries, which start them once and keep them for the process's life.
LIBRARIES = ("fsspecIO", "asyncio_", "tqdm_monitor", "(_poll_wrapper)", "LanceDBBackgroundEventLoop")
# A batcher and a kernel's threads wait for calls until their ranker is collected, which its server's core may
# hold for a while; moto's threads end with connections that clients keep.
KEPT = (*LIBRARIES, "batcher", "kernel_", "(process_request_thread)")
# What was told to end has so many seconds for it.
PATIENCE = 20.0


def children(pid: int) -> Iterator[int]:
    """Yield a process's children that have not ended."""
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found = [int(child) for child in thread.read_text().split()]
        except (FileNotFoundError, ProcessLookupError):  # the thread has ended
            continue
        yield from (child for child in found if _alive(child))


@dataclass
class Running:
    """The threads and processes that ran at some time, which are nobody's fault later."""

    threads: set[threading.Thread] = field(default_factory=lambda: set(threading.enumerate()))
    processes: set[int] = field(default_factory=lambda: set(_processes()))

    def since(self) -> list[str]:
        """Name what runs now and did not then, after it had time to end."""
        ends = time.monotonic() + PATIENCE
        while (left := [*self._threads(), *self._processes()]) and time.monotonic() < ends:
            gc.collect()  # some threads end with the object that they work for
            time.sleep(0.01)
        return left

    def _threads(self) -> Iterator[str]:
        for thread in set(threading.enumerate()) - self.threads:
            # A dummy stands for a library's own thread that once called Python.
            kept = isinstance(thread, threading._DummyThread) or any(name in thread.name for name in KEPT)
            if not kept:
                yield f"thread {thread.name}"

    def _processes(self) -> Iterator[str]:
        for pid in set(_processes()) - self.processes:
            yield f"process {pid} {_command(pid)}"


def _processes() -> Iterator[int]:
    """Yield this process's children, and those that the fork server has for it."""
    kept = fork_server.processes()
    yield from (pid for pid in children(os.getpid()) if pid not in kept)
    yield from (process.pid for process in multiprocessing.active_children() if process.pid)


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ").strip()[:200]
    except (FileNotFoundError, ProcessLookupError):
        return ""
