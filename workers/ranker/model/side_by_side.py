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


# Of each thread there is a number of its own, and of the process one that new threads begin with: setting one
# sets the other, so one after the other.
_numbers = threading.Lock()


class Alone:
    """Threads of their own in which torch computes without others, as many as it has at first.

    For what is small: threads share every product of it and wait for each other after each, a time slice
    where other processes have the cores.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(torch.get_num_threads(), "alone", _one_thread)

    def __call__(self, work: Callable[[T], R], item: T) -> R:
        """Return `work(item)`, computed by one of them."""
        with _numbers:
            torch.get_num_threads()  # the caller's first look, which else may come while one is set
        return self._pool.submit(work, item).result()


def _one_thread() -> None:
    """Let torch use one thread in this new one, and as many as before in others."""
    with _numbers:
        # A thread takes the number that new ones begin with at its first look at it, also after it was set.
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        restoring = threading.Thread(target=torch.set_num_threads, args=(threads,))
        restoring.start()
        restoring.join()


def in_turn(work: Callable[[T], R], items: Iterable[T], device: torch.device) -> Iterator[R]:
    """Yield `work(item)` of every item, in their order; on a CPU as many at a time as torch has threads.

    Items are drawn in the caller's thread, a few ahead. Until the last one torch uses one thread a call.
    """
    if device.type != "cpu":
        yield from map(work, items)
        return
    threads = torch.get_num_threads()
    waiting: deque[Future[R]] = deque()
    with _numbers:
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
        with _numbers:
            torch.set_num_threads(threads)
