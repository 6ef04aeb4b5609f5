"""Watches a command and all processes below it, from outside."""

import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import memory

# Seconds between two looks; memory is looked at in each tenth, for that takes milliseconds a process.
EVERY, SELDOM = 0.1, 10
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Used:
    """What processes used. cpu: seconds of each. most: bytes at once by kind, and of all ("all")."""

    cpu: dict[str, float] = field(default_factory=dict)
    most: dict[str, int] = field(default_factory=dict)
    wall: float = 0.0

    def row(self) -> dict[str, float]:
        """Return wall and CPU seconds, and MB by kind."""
        mb = {f"{kind}_mb": round(most / 1e6) for kind, most in self.most.items()}
        return {"wall_s": round(self.wall, 2), "cpu_s": round(sum(self.cpu.values()), 2), **mb}


def begin(command: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Begin a command; what it says goes to the end of a file."""
    with log.open("ab") as file:
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=file)


def watched(command: Sequence[str], log: Path) -> Used:
    """Run a command to its end, whatever files fail; return what it used."""
    used, began = Used(), time.monotonic()
    process = begin(command, log)
    with looking(lambda number: _look(used, process.pid, memory_too=number % SELDOM == 0)):
        process.wait()
    used.wall = time.monotonic() - began
    if process.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}; see {log}")
    return used


@contextmanager
def looking(look: Callable[[int], None]) -> Iterator[None]:
    """Call `look` with 0, 1, 2 ... again and again while a block runs."""
    ended = threading.Event()

    def run() -> None:
        number = 0
        while not ended.wait(EVERY):
            look(number)
            number += 1

    watcher = threading.Thread(target=run, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def kinds(process: int) -> Iterator[tuple[str, str]]:
    """Yield (pid, kind) of a command and all below it.

    driver: the command. worker: Ray's actors, and what reads videos. ray: Ray's own.
    """
    workers = set[str]()
    for pid in memory.tree(str(process)):
        name = told(pid, "cmdline")
        if pid == str(process):
            kind = "driver"
        elif "IngestWorker" in name or "multiprocessing" in name or parent(pid) in workers:
            kind = "worker"
            workers.add(pid)
        else:
            kind = "ray"
        yield pid, kind


def told(pid: str, file: str) -> str:
    """Return a file of a process in /proc, "" for one that is gone."""
    try:
        return Path("/proc", pid, file).read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def parent(pid: str) -> str:
    """Return a process's parent, "" for one that is gone."""
    return (_stat(pid) or ["", ""])[1]


def seconds(pid: str) -> float:
    """Return the CPU seconds that a process used itself, 0 for one that is gone."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS if fields else 0.0


def _stat(pid: str) -> list[str]:
    return told(pid, "stat").rpartition(")")[2].split()


def _look(used: Used, process: int, memory_too: bool) -> None:
    found = list(kinds(process))
    for pid, _ in found:
        used.cpu[pid] = max(seconds(pid), used.cpu.get(pid, 0.0))
    if memory_too:
        now = dict[str, int]()
        for pid, kind in found:
            share = memory.share(pid)
            for key in (kind, "all"):
                now[key] = now.get(key, 0) + share
        for key, size in now.items():
            used.most[key] = max(used.most.get(key, 0), size)
