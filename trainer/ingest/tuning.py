"""How an encoder uses the cores while others decode."""

import contextlib
from collections.abc import Iterator

import torch

from engine.cores import cores


@contextlib.contextmanager
def encoding_threads(device: torch.device) -> Iterator[int]:
    """Share the cores out for the time of a `with`; the value is how many batches to encode at a time.

    On a CPU several batches with a thread each: threads that share one batch wait for each other at
    every layer, and where a decoder holds the core of one of them, all wait in a busy loop. On a GPU one.
    """
    if device.type != "cpu":
        yield 1
        return
    before = torch.get_num_threads()
    count = min(8, cores())
    torch.set_num_threads(max(1, cores() // count))
    try:
        yield count
    finally:
        torch.set_num_threads(before)
