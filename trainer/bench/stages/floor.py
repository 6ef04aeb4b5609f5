"""The physical floor: how fast memory is read."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from engine.types import Floats
from trainer.bench.results import Context, Outcome, Row
from trainer.bench.timing import laps

_BYTES = 768 * 2**20


def run(context: Context) -> Outcome:
    """Read a large array once, by one thread and by two, each thread its own part."""
    size = _BYTES if context.sizes.dim >= 512 else 2**20
    data = np.ones(size // 4, np.float32)
    rows = []
    for threads in (1, 2):
        parts = np.array_split(data, threads)
        with ThreadPoolExecutor(threads) as pool:

            def read(_: int, parts: list[Floats] = parts, pool: ThreadPoolExecutor = pool) -> None:
                # A dot product with itself: one read, and arithmetic that is hidden behind it.
                list(pool.map(_read, parts))

            taken = laps(read, max(3, context.sizes.runs // 10))
        speed = data.nbytes / 1e6 / taken.share(0.0)
        more = {"best_ms": taken.share(0.0), "median_ms": taken.median, "bytes": data.nbytes}
        rows.append(Row(f"read_{threads}", f"memory read, {threads} thread(s)", "floor", speed, "GB/s", more))
    return Outcome(rows, ["The fastest pass counts: it is the floor, what others do on the machine is not."])


def _read(part: Floats) -> float:
    return float(np.dot(part, part))
