"""The physical floor: how fast memory is read."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bench.results import Figure, Outcome, Setup
from bench.sizes import Sizes
from bench.timing import Laps, laps
from engine.types import Floats

_BYTES = 768 * 2**20


def run(setup: Setup) -> Outcome:
    """Read a large array once, by one thread and by two, each thread its own part."""
    size = _BYTES if setup.sizes.dim >= 512 else 2**20
    rows = []
    for threads in (1, 2):
        taken = reading(threads, size, max(3, setup.sizes.runs // 10))
        more = {"best_ms": taken.share(0.0), "median_ms": taken.median, "bytes": size}
        speed = size / 1e6 / taken.share(0.0)
        rows.append(
            Figure(f"read_{threads}", f"memory read, {threads} thread(s)", "floor", speed, "GB/s", more)
        )
    return Outcome(rows, ["The fastest pass counts: it is the floor, what others do on the machine is not."])


def reading(threads: int, size: int, runs: int = 5) -> Laps:
    """Return how long it takes to read `size` bytes of memory, each thread its own part."""
    parts = np.array_split(np.ones(size // 4, np.float32), threads)
    with ThreadPoolExecutor(threads) as pool:
        # A dot product with itself: one read, and arithmetic that is hidden behind it.
        return laps(lambda _: list(pool.map(_read, parts)), runs)


def bytes_ms(count: float, threads: int, sizes: Sizes) -> float:
    """Return the milliseconds that reading so many bytes takes at least."""
    size = _BYTES if sizes.dim >= 512 else 2**20
    return reading(threads, size).share(0.0) * count / size


def _read(part: Floats) -> float:
    return float(np.dot(part, part))
