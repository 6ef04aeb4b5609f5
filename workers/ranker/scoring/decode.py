"""From what was found in windows to spans in seconds and scores.

The published score of clips m..n is p_start[m] * p_end[n] * exp(30 S). Here it is its logarithm, which orders
the same way, cannot overflow, and lets every part have its own weight.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput
from engine.types import Doubles, Floats
from workers.ranker.model.windows import Windows
from workers.ranker.scoring.evidence import UNSURE as UNSURE_CLIP
from workers.ranker.scoring.evidence import Evidence
from workers.ranker.scoring.fusion import Fusion, columns, confidences, demoted

# The log-probability of a window without a span.
UNSURE = 2 * UNSURE_CLIP


@dataclass(frozen=True, slots=True)
class DecodeConfig:
    """How spans are chosen and scored; the defaults are the published ones.

    Spans have min_span..max_span clips. The score is relevance_weight * S + probability_weight *
    (log p_start + log p_end) + coarse_weight * the proposal's retrieval score; with a fitted `fusion`, what
    that says.
    """

    min_span: int = 2
    max_span: int = 16
    relevance_weight: float = 30.0
    probability_weight: float = 1.0
    coarse_weight: float = 0.0
    fusion: Fusion | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.min_span <= self.max_span:
            raise InvalidInput(
                f"spans of {self.min_span} to {self.max_span} clips are none; use 1 <= min_span <= max_span"
            )


@dataclass(frozen=True, slots=True)
class RankedColumns:
    """One row a proposal, in the proposals' order.

    spans: (n, 2) float64 seconds. scores: (n,) float64, higher is better. relevances: (n,) float32.
    refined: (n,) bool, False where the span is the proposal's own. confidences: (n,) probability that the
    moment is relevant, None where none was fitted. nothing_below: the lowest that means something good.
    """

    spans: Doubles
    scores: Doubles
    relevances: Floats
    refined: NDArray[np.bool_]
    confidences: Floats | None = None
    nothing_below: float = 0.0

    def __len__(self) -> int:
        return len(self.spans)


def in_seconds(evidence: Evidence, windows: Windows, durations: Doubles) -> Doubles:
    """Return (n, 2) seconds of the spans found; no end lies beyond its video's duration, (n,)."""
    begins = windows.origins + evidence.start * windows.steps
    ends = np.minimum(windows.origins + (evidence.end + 1) * windows.steps, durations)
    return np.stack([begins, ends], axis=1)


def ranked(
    evidence: Evidence,
    windows: Windows,
    durations: Doubles,
    coarse_spans: Doubles,
    coarse_scores: Floats,
    config: DecodeConfig,
    corpus: int,
) -> RankedColumns:
    """Score what was found; where there is no span, keep the coarse one (n, 2) with an unsure score.

    durations: (n,) seconds of the windows' videos. coarse_scores: (n,). corpus: the videos searched.
    """
    spans = in_seconds(evidence, windows, durations)
    refined = evidence.found & (spans[:, 1] > spans[:, 0])
    spans = np.where(refined[:, None], spans, coarse_spans)
    if config.fusion is not None:
        return _fused(evidence, windows, spans, refined, coarse_scores, config.fusion, corpus)
    scores = (
        config.relevance_weight * evidence.relevance.astype(np.float64)
        + config.probability_weight * np.where(refined, evidence.log_start + evidence.log_end, UNSURE)
        + config.coarse_weight * coarse_scores.astype(np.float64)
    )
    return RankedColumns(spans, scores, evidence.relevance, refined)


def _fused(
    evidence: Evidence,
    windows: Windows,
    spans: Doubles,
    refined: NDArray[np.bool_],
    coarse_scores: Floats,
    fusion: Fusion,
    corpus: int,
) -> RankedColumns:
    found = columns(evidence, spans, coarse_scores)
    scores = demoted(fusion.score.apply(found), windows.videos, spans, fusion.overlap)
    sure = confidences(fusion.logits(found, scores, corpus))
    return RankedColumns(spans, scores, evidence.relevance, refined, sure, fusion.nothing_below)
