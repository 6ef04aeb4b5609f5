"""What is done to processes: each fault begins, lasts, and is over when the processes are well again.

Every function returns when they were well: seconds since the epoch, from which the service has a second.
"""

import resource
import signal
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from engine import parts, versions
from recipes.chaos.service import Process, Service, wait_until

STOPPED = 5.0  # seconds of SIGSTOP
FILES = {
    "index": "index/index.faiss",
    "ranker": "encoded/video.npy",
    "coordinator": "catalog.sqlite",
    "library": "catalog.sqlite",
}
BACK = 1.0  # seconds that a process may need, once it is ready, until it is asked again
BEAT = 0.05  # seconds of a slow process's turns: so long stopped, so long running


def kill(service: Service, processes: Sequence[Process]) -> float:
    """Kill them (SIGKILL), and wait for their successors."""
    began = time.time()
    for process in processes:
        process.send(signal.SIGKILL)
    return service.wait_until_ready(list(processes), began)


def stop(service: Service, processes: Sequence[Process], seconds: float = STOPPED) -> float:
    """Stop them (SIGSTOP) for a while; who is killed meanwhile, as it hangs, is waited for."""
    began = time.time()
    for process in processes:
        process.send(signal.SIGSTOP)
    time.sleep(seconds)
    for process in processes:
        process.send(signal.SIGCONT)
    over = time.time()
    gone = [process for process in processes if not process.alive]
    return max(over, service.wait_until_ready(gone, began))


def slow(processes: Sequence[Process], seconds: float) -> float:
    """Let them run half of the time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for process in processes:
                process.send(number)
            time.sleep(BEAT)
    return time.time()


def full_disk(processes: Sequence[Process], full: bool) -> None:
    """Let nothing they write to a file succeed, or all again: what a full disk does, to these alone."""
    for process in processes:
        _, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0 if full else hard, hard))


def file_of(collection: Path, role: str) -> Path:
    """Return the file of a part of the current version that processes of a role read."""
    entry = versions.read(collection).shards[0].parts[0]
    return parts.directory(collection, entry.id) / FILES[role]


def flip(path: Path) -> None:
    """Flip a bit in the middle of a file, or flip it back."""
    path.chmod(0o644)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        (byte,) = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def restart(service: Service, processes: Sequence[Process]) -> float:
    """Restart them with SIGTERM, each a second after the one before is ready: it serves again by then."""
    last = time.time()
    for process in processes:
        began = time.time()
        process.send(signal.SIGTERM)
        last = service.wait_until_ready([process], began)
        wait_until(partial(_ended, process), f"{process.label} has ended")
        time.sleep(BACK)
    return last


def _ended(process: Process) -> bool:
    return not process.alive
