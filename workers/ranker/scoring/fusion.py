"""Score fusion: a moment's final score and its confidence are two weighted sums of the evidence.

The weights are fitted on validation queries and stored with the ranker as plain numbers: how much a unit of
each column moves the score.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields

import numpy as np

from engine.channels import sureness
from engine.texts import LISTS
from engine.types import Doubles, Floats, RankQuery
from engine.values import FORMERLY
from workers.ranker.scoring.evidence import Evidence


@dataclass(frozen=True, slots=True)
class ScoreWeights:
    """Linear weights of the evidence, one a column.

    relevance: S of the window. span_relevance: S of the span's clips. log_probability: log p of the span's
    start and end. contrast: clip similarity in the span over that around it. coarse: the proposal's retrieval
    score. log_rank: log(1 + its rank). log_length: log of the span's seconds. The last four are of what texts
    say of the proposal, see `channels.sureness`.
    """

    bias: float = 0.0
    relevance: float = 0.0
    span_relevance: float = 0.0
    log_probability: float = 0.0
    contrast: float = 0.0
    coarse: float = 0.0
    log_rank: float = 0.0
    log_length: float = 0.0
    said_words: float = 0.0
    said_meaning: float = 0.0
    written_words: float = 0.0
    written_meaning: float = 0.0

    @property
    def weighs_texts(self) -> bool:
        """Whether a text column has a weight."""
        return any(getattr(self, name) for name in TEXT_COLUMNS)

    def apply(self, columns: Doubles) -> Doubles:
        """Return the weighted sum of columns (n, 7 or 11), the first of COLUMNS in their order: (n,)."""
        weights = np.array([getattr(self, name) for name in COLUMNS[: columns.shape[1]]])
        total: Doubles = columns @ weights + self.bias
        return total


COLUMNS = tuple(column.name for column in fields(ScoreWeights))[1:]
TEXT_COLUMNS = tuple("_".join(name) for name in LISTS)


@dataclass(frozen=True, slots=True)
class Fusion:
    """Turns evidence into scores and confidences.

    score: orders the moments. confidence and log_share: the logit of the probability that a moment is
    relevant, grade 2 or more. overlap: a moment that overlaps a better one of its video by more than this IoU
    comes after all that do not. confidence_threshold: the confidence from which on a moment counts as found.
    alone: (precision, confidence) pairs: from this confidence on, moments of videos that are judged alone, by
    a standing search, are so often relevant. lists: weights of the ranked lists that proposals are made of,
    as in `TextsEntry.weights`; empty: the default ones. usual_cosine: as `TextsEntry` has it.
    """

    score: ScoreWeights
    confidence: ScoreWeights
    overlap: float = 0.5
    confidence_threshold: float = field(default=0.0, metadata={FORMERLY: "nothing_below"})
    log_share: float = 0.0
    alone: tuple[tuple[float, float], ...] = ()
    lists: Mapping[str, float] = field(default_factory=dict)
    usual_cosine: float = 0.0

    @property
    def weighs_texts(self) -> bool:
        """Whether scores or confidences depend on texts; without, text columns are left out."""
        return self.score.weighs_texts or self.confidence.weighs_texts

    def texts(self, query: RankQuery) -> Doubles | None:
        """Return the text columns (n, 4) of a query's proposals, None where none are weighed or known."""
        if query.texts is None or not self.weighs_texts:
            return None
        return sureness(query.texts, self.usual_cosine)

    def logits(self, columns: Doubles, scores: Doubles, corpus: int) -> Doubles:
        """Return the logits of the confidences of moments with these columns (n, 7 or 11): (n,).

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


def columns(
    evidence: Evidence, spans: Doubles, coarse_scores: Floats, texts: Doubles | None = None
) -> Doubles:
    """Return the columns that the weights apply to, in the order of COLUMNS: (n, 7), with texts (n, 11).

    spans: (n, 2) the refined seconds, the proposal's own where nothing was refined. coarse_scores: (n,).
    texts: (n, 4), see `channels.sureness`.
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
    found = np.stack([np.asarray(value, np.float64) for value in values], axis=1)
    return found if texts is None else np.concatenate([found, texts], axis=1)


def confidences(logits: Doubles) -> Floats:
    """Return probabilities of logits (n,)."""
    probabilities: Floats = (1 / (1 + np.exp(-np.clip(logits, -50, 50)))).astype(np.float32)
    return probabilities
