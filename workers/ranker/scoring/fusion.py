"""Score fusion: a moment's final score and its confidence are two weighted sums of the evidence.

The weights are fitted on validation queries and stored with the ranker as plain numbers: how much a unit of
each column moves the score.
"""

from dataclasses import dataclass, field, fields

import numpy as np

from engine.temporal import suppress
from engine.types import Doubles, Floats, Ordinals
from engine.values import FORMERLY
from workers.ranker.scoring.evidence import Evidence


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """Linear weights of the evidence, one a column.

    relevance: S of the window. span_relevance: S of the span's clips. log_probability: log p of the span's
    start and end. contrast: clip similarity in the span over that around it. coarse: the proposal's retrieval
    score. log_rank: log(1 + its rank). log_length: log of the span's seconds.
    """

    bias: float = 0.0
    relevance: float = 0.0
    span_relevance: float = 0.0
    log_probability: float = 0.0
    contrast: float = 0.0
    coarse: float = 0.0
    log_rank: float = 0.0
    log_length: float = 0.0

    def apply(self, columns: Doubles) -> Doubles:
        """Return the weighted sum of columns (n, 7), in the order of COLUMNS: (n,)."""
        weights = np.array([getattr(self, name) for name in COLUMNS])
        total: Doubles = columns @ weights + self.bias
        return total


COLUMNS = tuple(column.name for column in fields(ScoreWeights))[1:]


@dataclass(frozen=True, slots=True)
class Fusion:
    """Turns evidence into scores and confidences.

    score: orders the moments. confidence and log_share: the logit of the probability that a moment is
    relevant, grade 2 or more. overlap: a moment that overlaps a better one of its video by more than this IoU
    comes after all that do not. confidence_threshold: the confidence from which on a moment counts as found.
    alone: (precision, confidence) pairs: from this confidence on, moments of videos that are judged alone, by
    a standing search, are so often relevant.
    """

    score: ScoreWeights
    confidence: ScoreWeights
    overlap: float = 0.5
    confidence_threshold: float = field(default=0.0, metadata={FORMERLY: "nothing_below"})
    log_share: float = 0.0
    alone: tuple[tuple[float, float], ...] = ()

    def logits(self, columns: Doubles, scores: Doubles, corpus: int) -> Doubles:
        """Return the logits of the confidences of moments with these columns (n, 7): (n,).

        scores: (n,) by which they are ordered. corpus: the videos they were found in.
        """
        return self.confidence.apply(columns) + self.log_share * log_shares(scores, corpus)


def log_shares(scores: Doubles, corpus: int) -> Doubles:
    """Return the log of each moment's rank as a share of the corpus, (n,): log((rank + 1/2) / corpus).

    Normalising by the corpus calibrates: rank 10 among 60 videos is as good a sign as rank 30 among 180,
    while precision in the first ten depends on the number of videos.
    """
    places = np.empty(len(scores))
    places[np.argsort(-scores, kind="stable")] = np.arange(len(scores))
    shares: Doubles = np.log((places + 0.5) / corpus)
    return shares


def columns(evidence: Evidence, spans: Doubles, coarse_scores: Floats) -> Doubles:
    """Return the columns that the weights apply to, (n, 7) in the order of COLUMNS.

    spans: (n, 2) the refined seconds, the proposal's own where nothing was refined. coarse_scores: (n,).
    """
    ranks = np.empty(len(spans))
    ranks[np.argsort(-coarse_scores, kind="stable")] = np.arange(len(spans))
    values = (
        evidence.relevance,
        evidence.span_relevance,
        evidence.log_start + evidence.log_end,
        evidence.contrast,
        coarse_scores,
        np.log1p(ranks),
        np.log(np.maximum(spans[:, 1] - spans[:, 0], 0.1)),
    )
    return np.stack([np.asarray(value, np.float64) for value in values], axis=1)


def confidences(logits: Doubles) -> Floats:
    """Return probabilities of logits (n,)."""
    probabilities: Floats = (1 / (1 + np.exp(-np.clip(logits, -50, 50)))).astype(np.float32)
    return probabilities


def demoted(scores: Doubles, videos: Ordinals, spans: Doubles, overlap: float) -> Doubles:
    """Return scores that rank near duplicates, by IoU with a better moment of the video, after all others."""
    if overlap >= 1 or not len(scores):
        return scores
    order = np.argsort(-scores, kind="stable")
    kept = np.zeros(len(scores), bool)
    kept[order[suppress(videos[order], spans[order], overlap)]] = True
    below = scores.max() - scores.min() + 1
    return np.where(kept, scores, scores - below)
