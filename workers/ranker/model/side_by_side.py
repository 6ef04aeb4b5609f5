"""Work on many videos at once, each on one thread: faster than all threads on each, and always the same.

The last bits of a matrix product depend on its size and on the threads that share it, so a video is computed
alone and by one thread: then its vectors depend on nothing else. Threads that share the small products of one
video would wait for each other at every layer.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


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
