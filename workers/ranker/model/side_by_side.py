"""Work that one thread does faster than all of them together.

Many videos at once, each on one thread: faster than all threads on each, and always the same.

The last bits of a matrix product depend on its size and on the threads that share it, so a video is computed
alone and by one thread: then its vectors depend on nothing else. Threads that share the small products of one
video would wait for each other at every layer.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


class Alone:
    """A thread of its own in which torch computes without others, one call after the other.

    For what is small: threads share every product of it and wait for each other after each, a time slice
    where other processes have the cores.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="alone")
        self._ready, self._lock = False, threading.Lock()

    def __call__(self, work: Callable[[T], R], item: T) -> R:
        """Return `work(item)`, computed there."""
        with self._lock:
            if not self._ready:
                threads = torch.get_num_threads()
                self._pool.submit(_one_thread).result()
                # Of each thread there is a number of its own, and one that new threads begin with.
                torch.set_num_threads(threads)
                self._ready = True
        return self._pool.submit(work, item).result()


def _one_thread() -> None:
    # A thread takes the number that new ones begin with at its first look at it, also after it was set.
    torch.get_num_threads()
    torch.set_num_threads(1)


def in_turn(work: Callable[[T], R], items: Iterable[T], device: torch.device) -> Iterator[R]:
    """Yield `work(item)` of every item, in their order; on a CPU as many at a time as torch has threads.

    Items are drawn in the caller's thread, a few ahead. Until the last one torch uses one thread a call.
    """
    if device.type != "cpu":
        yield from map(work, items)
        return
    threads = torch.get_num_threads()
    waiting: deque[Future[R]] = deque()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, thread_name_prefix="video") as pool:
            try:
                for item in items:
                    waiting.append(pool.submit(work, item))
                    if len(waiting) > 2 * threads:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for one in waiting:
                    one.cancel()
    finally:
        torch.set_num_threads(threads)
