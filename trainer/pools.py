"""Pools of processes that end with the one that began them, whatever ends it."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any

_QUIET = "ignore:resource_tracker:UserWarning"


@contextmanager
def pool(
    count: int, begin: Callable[..., object] | None = None, *given: object
) -> Iterator[ProcessPoolExecutor]:
    """Yield a pool of spawned processes; an error, Ctrl-C too, ends them at once.

    begin: called in each of them first.
    """
    track()
    others = set(multiprocessing.active_children())
    executor = ProcessPoolExecutor(count, _Context(), _begin, (begin, given))
    try:
        yield executor
    except BaseException:
        results: Any = executor._result_queue
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        # One of them may have been writing a result. Its reader, whom Python waits for when it ends, waits
        # for the rest while any process can write it, and this one can.
        results._writer.close()
        executor.shutdown(wait=False, cancel_futures=True)
        raise
    executor.shutdown()


def track() -> None:
    """Start what tidies up after this process, where it is killed, and let it tell nobody.

    Whoever makes a lock or a queue for processes starts it otherwise.
    """
    sys.warnoptions.append(_QUIET)
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.remove(_QUIET)


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Let processes that are spawned meanwhile leave Ctrl-C, which reaches the whole group, to this one."""
    track()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class _Process(SpawnProcess):
    """One that is deaf to Ctrl-C, whenever it is started: a pool starts its processes as they are needed."""

    def start(self) -> None:
        with deaf_to_ctrl_c():
            super().start()


class _Context(SpawnContext):
    Process = _Process


def _begin(begin: Callable[..., object] | None, given: tuple[object, ...]) -> None:
    # They hold each other's ends of the pool's pipes, so none would see that nobody asks any more.
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if begin is not None:
        begin(*given)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
