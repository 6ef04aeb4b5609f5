"""The fork server, which has loaded torch, FAISS and gRPC: one for all workers of a run.

Without xdist, and where few files are run, each process starts its own when it first needs one.
"""

import multiprocessing
import os
from multiprocessing import forkserver, resource_tracker
from typing import Any

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["tests.preload"])
_own: Any = forkserver._forkserver


def start() -> dict[str, str]:
    """Start it, while workers still collect; return how they reach it."""
    forkserver.ensure_running()
    return {
        "address": _own._forkserver_address,
        "alive": f"/proc/{os.getpid()}/fd/{_own._forkserver_alive_fd}",
    }


def use(started: dict[str, str]) -> None:
    """Use the one that another process has started. It ends after the last process that uses it."""
    _own._forkserver_address = started["address"]
    _own._forkserver_alive_fd = os.open(started["alive"], os.O_WRONLY | os.O_CLOEXEC)
    # It looks after a child of its own otherwise.
    _own.ensure_running = resource_tracker.ensure_running


def processes() -> set[int]:
    """Return the children of this process that only serve multiprocessing."""
    return {_own._forkserver_pid, resource_tracker._resource_tracker._pid} - {None}  # type: ignore[attr-defined]
