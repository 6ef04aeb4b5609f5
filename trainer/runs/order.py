"""The order of the data as a function of the step, so that resuming needs no replay."""

import numpy as np
from numpy.typing import NDArray


def batch_rows(step: int, rows: int, batch: int, seed: int) -> NDArray[np.int64]:
    """Return the rows of step `step` (from 0): a fresh permutation each epoch, the last partial batch kept.

    >>> [len(batch_rows(step, rows=5, batch=2, seed=0)) for step in range(4)]
    [2, 2, 1, 2]
    """
    epoch, position = divmod(step, batches_per_epoch(rows, batch))
    order = np.random.default_rng([seed, epoch]).permutation(rows)
    return order[position * batch : (position + 1) * batch]


def batches_per_epoch(rows: int, batch: int) -> int:
    """Return how many batches cover `rows`."""
    return -(-rows // batch)
