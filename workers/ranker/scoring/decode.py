"""Decoding: from evidence to spans in seconds and scores.

The published score of clips m..n is p_start[m] * p_end[n] * exp(30 S). Here it is its logarithm, which orders
the same way, cannot overflow, and lets every part have its own weight.
"""

from dataclasses import dataclass

import numpy as np

from engine.errors import InvalidInput
from engine.temporal import demoted
from engine.types import Doubles, Ranked, RankQuery
from workers.ranker.model.windows import Windows
from workers.ranker.scoring.evidence import UNSURE as UNSURE_CLIP
from workers.ranker.scoring.evidence import Evidence
from workers.ranker.scoring.fusion import Fusion, columns, confidences

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


def in_seconds(evidence: Evidence, windows: Windows, durations: Doubles) -> Doubles:
    """Return (n, 2) seconds of the spans found; no end lies beyond its video's duration, (n,)."""
    begins = windows.origins + evidence.start * windows.steps
    ends = np.minimum(windows.origins + (evidence.end + 1) * windows.steps, durations)
    return np.stack([begins, ends], axis=1)


def best_seconds(evidence: Evidence, windows: Windows) -> Doubles:
    """Return (n,) when each span's best clip begins, in seconds; NaN where there is no span."""
    return np.where(evidence.best >= 0, windows.origins + evidence.best * windows.steps, np.nan)


def ranked(
    query: RankQuery,
    windows: Windows,
    evidence: Evidence,
    durations: Doubles,
    config: DecodeConfig,
    corpus: int,
    ranker: str,
) -> Ranked:
    """Score what was found; where there is no span, keep the proposal's with an unsure score.

    durations: (n,) seconds of the windows' videos. corpus: the videos searched. ranker: its name.
    """
    spans = in_seconds(evidence, windows, durations)
    refined = evidence.found & (spans[:, 1] > spans[:, 0])
    spans = np.where(refined[:, None], spans, query.spans)
    fusion, relevances = config.fusion, evidence.relevance
    best = best_seconds(evidence, windows)
    if fusion is not None:
        texts = fusion.texts(query)
        found = columns(evidence, spans, query.scores, texts)
        scores = demoted(fusion.score.apply(found), query.videos, spans, fusion.overlap)
        sure = confidences(fusion.logits(found, scores, corpus))
        threshold, weighed = fusion.confidence_threshold, texts is not None
        return Ranked(ranker, spans, scores, relevances, refined, sure, threshold, weighed, best)
    scores = (
        config.relevance_weight * relevances.astype(np.float64)
        + config.probability_weight * np.where(refined, evidence.log_start + evidence.log_end, UNSURE)
        + config.coarse_weight * query.scores.astype(np.float64)
    )
    return Ranked(ranker, spans, scores, relevances, refined, best=best)
