"""Bootstrap intervals and paired permutation tests of means over queries, on arrays.

Values are (queries, figures) float64; NaN where a query does not count for a figure. Every function is seeded
and gives the same numbers for the same arguments.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

SAMPLES = 2000
LEVEL = 0.95
# Resamples drawn at once: bounds the memory of weights (rows, queries).
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Difference:
    """b - a of every figure: mean, the ends of its interval, two-sided p; all (figures,)."""

    mean: Doubles
    low: Doubles
    high: Doubles
    p: Doubles


def means(values: Doubles) -> Doubles:
    """Return the mean of every figure over the queries that count, (figures,); 0 where none counts."""
    counts = np.isfinite(values).sum(axis=0)
    return np.asarray(np.where(counts, np.nan_to_num(values).sum(axis=0) / np.maximum(counts, 1), 0.0))


def bootstrap(
    values: Doubles, seed: int = 0, samples: int = SAMPLES, level: float = LEVEL
) -> tuple[Doubles, Doubles]:
    """Return the ends of the percentile interval of every figure's mean, (figures,) each; 0 without queries.

    Queries are drawn with replacement, as if another set had been asked.
    """
    if not len(values):
        return np.zeros(values.shape[1]), np.zeros(values.shape[1])
    filled, counted = np.nan_to_num(values), np.isfinite(values).astype(np.float64)
    drawn = [
        (weights @ filled) / np.maximum(weights @ counted, 1.0)
        for weights in _weights(len(values), seed, samples)
    ]
    low, high = np.quantile(np.concatenate(drawn), [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def paired(a: Doubles, b: Doubles, seed: int = 0, samples: int = SAMPLES, level: float = LEVEL) -> Difference:
    """Compare two runs on the same queries, row by row.

    The interval is a bootstrap of the difference; p is how often a difference at least this large comes about
    when each query's two values are swapped by chance (a sign-flip permutation test).
    """
    difference = b - a
    mean = means(difference)
    low, high = bootstrap(difference, seed, samples, level)
    filled = np.nan_to_num(difference)
    observed = np.abs(filled.sum(axis=0))
    # Sums that are equal but for rounding count as reached.
    reached = np.zeros(filled.shape[1])
    for signs in _signs(len(filled), seed, samples):
        reached += (np.abs(signs @ filled) >= observed - 1e-12).sum(axis=0)
    return Difference(mean, low, high, (reached + 1.0) / (samples + 1.0))


def _weights(queries: int, seed: int, samples: int) -> Iterator[Doubles]:
    """Yield how often each query is drawn in each resample, (rows, queries)."""
    rng = np.random.default_rng([seed, 0])
    for first in range(0, samples, _AT_ONCE):
        rows = min(_AT_ONCE, samples - first)
        drawn = rng.integers(0, queries, (rows, queries)) + queries * np.arange(rows)[:, None]
        yield np.bincount(drawn.ravel(), minlength=rows * queries).reshape(rows, queries).astype(np.float64)


def _signs(queries: int, seed: int, samples: int) -> Iterator[Doubles]:
    rng = np.random.default_rng([seed, 1])
    for first in range(0, samples, _AT_ONCE):
        rows = min(_AT_ONCE, samples - first)
        yield np.where(rng.integers(0, 2, (rows, queries)), 1.0, -1.0)
