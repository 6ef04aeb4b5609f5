"""From start and end logits to spans and scores.

The published score of clips m..n is p_start[m] * p_end[n] * exp(30 S). Here it is its logarithm, which orders
the same way, cannot overflow, and lets every part have its own weight.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.types import Doubles, Floats
from workers.ranker.windows import Windows

# The log-probability of a window without a span: start and end uniform over 128 clips.
UNSURE = 2 * float(np.log(1 / 128))


@dataclass(frozen=True, slots=True)
class DecodeConfig:
    """How spans are chosen and scored; the defaults are the published ones.

    Spans have min_span..max_span clips. The score is relevance_weight * S + probability_weight *
    (log p_start + log p_end) + coarse_weight * the proposal's retrieval score.
    """

    min_span: int = 2
    max_span: int = 16
    relevance_weight: float = 30.0
    probability_weight: float = 1.0
    coarse_weight: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.min_span <= self.max_span:
            raise InvalidInput(
                f"spans of {self.min_span} to {self.max_span} clips are none; use 1 <= min_span <= max_span"
            )


@dataclass(frozen=True, slots=True)
class RankedColumns:
    """One row a proposal, in the proposals' order.

    spans: (n, 2) float64 seconds. scores: (n,) float64, higher is better. relevances: (n,) float32.
    refined: (n,) bool, False where the span is the proposal's own.
    """

    spans: Doubles
    scores: Doubles
    relevances: Floats
    refined: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.spans)


@dataclass(frozen=True, slots=True)
class Spans:
    """Best clips of every window, (n,) each: start and end inclusive; log_probability -inf where none is."""

    start: NDArray[np.int64]
    end: NDArray[np.int64]
    log_probability: Doubles


def best_spans(starts: Floats, ends: Floats, lengths: NDArray[np.int64], config: DecodeConfig) -> Spans:
    """Choose each window's most probable span of min_span..max_span clips.

    starts, ends: logits (n, l), of which the first lengths[i] count. Ties go to the earlier start, then end.
    """
    n, width = starts.shape
    present = np.arange(width) < lengths[:, None]
    log_start, log_end = _log_softmax(starts, present), _log_softmax(ends, present)
    # joint[i, m, k] = start at m, end at m + min_span - 1 + k: only the diagonals that count.
    reach = config.max_span - config.min_span + 1
    padded = np.full((n, width + config.max_span - 1), -np.inf)
    padded[:, :width] = log_end
    later = padded[:, config.min_span - 1 :]
    joint = log_start[:, :, None] + np.lib.stride_tricks.sliding_window_view(later, reach, axis=1)
    flat = joint.reshape(n, width * reach)
    best = flat.argmax(1)
    start = best // reach
    return Spans(start, start + best % reach + config.min_span - 1, flat[np.arange(n), best])


def in_seconds(spans: Spans, windows: Windows, durations: Doubles) -> Doubles:
    """Return (n, 2) seconds of spans of clips; no end lies beyond its video's duration, (n,)."""
    begins = windows.origins + spans.start * windows.steps
    ends = np.minimum(windows.origins + (spans.end + 1) * windows.steps, durations)
    return np.stack([begins, ends], axis=1)


def ranked(
    spans: Doubles,
    log_probabilities: Doubles,
    relevances: Floats,
    coarse_spans: Doubles,
    coarse_scores: Floats,
    config: DecodeConfig,
) -> RankedColumns:
    """Score the spans (n, 2); where one is degenerate, keep the coarse span with an unsure score."""
    refined = np.isfinite(log_probabilities) & (spans[:, 1] > spans[:, 0])
    scores = (
        config.relevance_weight * relevances.astype(np.float64)
        + config.probability_weight * np.where(refined, log_probabilities, UNSURE)
        + config.coarse_weight * coarse_scores.astype(np.float64)
    )
    return RankedColumns(np.where(refined[:, None], spans, coarse_spans), scores, relevances, refined)


def _log_softmax(logits: Floats, present: NDArray[np.bool_]) -> Doubles:
    masked = np.where(present, logits.astype(np.float64), -np.inf)
    highest = np.where(present.any(1), masked.max(1, initial=-np.inf), 0.0)[:, None]
    total = np.exp(masked - highest).sum(1, keepdims=True)
    with np.errstate(divide="ignore"):
        normaliser = np.where(total > 0, np.log(total), 0.0)
    result: Doubles = masked - highest - normaliser
    return result
