"""The nouns of a search: EncodedQuery -> Hits -> Proposals -> RankQuery -> Ranked -> Moments.

Each stage is columns of numpy arrays, one row a thing, so that no Python object is made before the page
is cut. A video is named by its ordinal in the version's catalogue; only the edge turns it into an id.
Times are seconds from the first frame; intervals are half-open.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Seconds = float
Ordinals = NDArray[np.int32]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Hits:
    """Retrieved segments of one query, best first.

    videos: (n,) int32 catalogue ordinals. segments: (n,) int32 segment number inside the video.
    scores: (n,) float32, higher is better. A hit's rank is its row. cosines: (n,) float32 of query and
    segment, where the scores are another thing.
    """

    videos: Ordinals
    segments: Ordinals
    scores: Floats
    cosines: Floats | None = None

    def __len__(self) -> int:
        return len(self.videos)


@dataclass(frozen=True, slots=True)
class Proposals:
    """Coarse moments of one query, ordered by their best segment's rank.

    videos: (n,) int32. spans: (n, 2) float64 seconds. ranks: (n,) int32 rank of the best segment, from 0.
    scores: (n,) float32 score of the best segment. cosines: as `Hits` has them, of that segment.
    texts: (n, 4) float32 as in `RankQuery`, None where no text was searched.
    """

    videos: Ordinals
    spans: Doubles
    ranks: Ordinals
    scores: Floats
    cosines: Floats | None = None
    texts: Floats | None = None

    def __len__(self) -> int:
        return len(self.videos)

    def of(self, rows: NDArray[np.intp] | slice) -> "Proposals":
        """Return some rows, in that order."""
        return Proposals(
            self.videos[rows],
            self.spans[rows],
            self.ranks[rows],
            self.scores[rows],
            None if self.cosines is None else self.cosines[rows],
            None if self.texts is None else self.texts[rows],
        )


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A sentence as the encoder sees it, or examples in its place.

    embedding: (dim,) float32, unit length, in the index's space. token_states: (tokens, width) float32.
    text_embedding: (encoder dim,) float32, the space of the frame features. model_id: embedding model.
    truncated: whether the text was longer than the encoder reads, so that its end was left out. shown:
    whether examples took part: confidences are fitted to sentences alone. sentence: (sentence dim,)
    float32, unit length, of the version's sentence encoder; None without one. text: the sentence; "" where
    there are only examples, or a vector.
    """

    embedding: Floats
    token_states: Floats
    text_embedding: Floats
    model_id: str
    truncated: bool = False
    shown: bool = False
    sentence: Floats | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class RankQuery:
    """What a ranker reads: one query as `EncodedQuery` has it, and its proposals, one row each.

    token_states: (tokens, width) float32. text_embedding: (encoder dim,) float32. videos: (n,) int32.
    spans: (n, 2) float64 seconds. scores: (n,) float32, the proposals' cosines in retrieval. searched: the
    videos that were searched for them; None: all that there are. texts: (n, 4) float32, what texts say of
    each proposal: the best score of its segments in each of `texts.LISTS`, 0 where in none; None where no
    text was searched. part: whether these are some of the query's proposals, of which `found` is asked.
    found: (n, columns) float64, what answers to parts found, so that nothing is read; None: read.
    """

    token_states: Floats
    text_embedding: Floats
    videos: Ordinals
    spans: Doubles
    scores: Floats
    searched: int | None = None
    texts: Floats | None = None
    part: bool = False
    found: Doubles | None = None

    @staticmethod
    def of(query: EncodedQuery, proposals: Proposals, searched: int | None = None) -> "RankQuery":
        """Ask for the ranking of a query's proposals."""
        cosines = proposals.scores if proposals.cosines is None else proposals.cosines
        columns = (proposals.videos, proposals.spans, cosines)
        return RankQuery(query.token_states, query.text_embedding, *columns, searched, proposals.texts)

    def __len__(self) -> int:
        return len(self.videos)

    def some(self, rows: NDArray[np.intp]) -> "RankQuery":
        """Ask for some of the proposals."""
        texts = None if self.texts is None else self.texts[rows]
        videos, spans, scores = self.videos[rows], self.spans[rows], self.scores[rows]
        return replace(self, videos=videos, spans=spans, scores=scores, texts=texts)


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a ranker answers to a `RankQuery`, one row a proposal, in the query's order.

    ranker: who ranked, "relo@<fingerprint>" or "similarity-curve". spans: (n, 2) float64 seconds. scores:
    (n,) float64, higher is better. relevances: (n,) float32, similarity of query and moment. refined: (n,)
    bool, False where the span is the proposal's own. confidences: (n,) float32 probability that the moment is
    relevant. confidence_threshold: the probability from which on a moment counts as found; None, as the
    confidences are, from a ranker without a fitted confidence. texts_weighed: whether the query's `texts`
    went into the scores. best: (n,) float64 the second that looks most like the query; NaN where none is
    known, None from a ranker that says none. seen: (n,) bool, False where no worker answered that has the
    video's shard, so that the row comes behind those that were ranked; None where all were.
    """

    ranker: str
    spans: Doubles
    scores: Doubles
    relevances: Floats
    refined: NDArray[np.bool_]
    confidences: Floats | None = None
    confidence_threshold: float | None = None
    texts_weighed: bool = False
    best: Doubles | None = None
    seen: NDArray[np.bool_] | None = None

    def __len__(self) -> int:
        return len(self.spans)

    @property
    def shown(self) -> Doubles:
        """`best` where it lies in the span, which may have been moved since; NaN elsewhere: (n,)."""
        if self.best is None:
            return np.full(len(self), np.nan)
        inside = (self.spans[:, 0] <= self.best) & (self.best < self.spans[:, 1])
        return np.where(inside, self.best, np.nan)

    @property
    def trained(self) -> bool:
        """Whether a trained ranker answered, whose spans are learned."""
        return self.ranker.partition("@")[0] == "relo"

    def unsure(self) -> "Ranked":
        """Return it without confidences: they are fitted to sentences, not to what examples show."""
        return replace(self, confidences=None, confidence_threshold=None)


class Also(NamedTuple):
    """A span of another video, by its ordinal, that shows the same as a moment."""

    video: int
    start: Seconds
    end: Seconds


@dataclass(frozen=True, slots=True)
class Moments:
    """The ranked answer to one query, best first.

    videos: (n,) int32. proposals: (n,) int32 row of the proposal each came from. spans, scores, relevances,
    refined, confidences and confidence_threshold as in `Ranked`; a moment that the ranker did not see has its
    proposal's span and score, relevance 0 and confidence NaN. parts: (n, parts, 2) seconds, of a query of
    several parts where each lies. also: what shows the same as each, best first, where that is asked for.
    best: (n,) float64 the second of each that looks most like the query, of several parts the first one's;
    NaN where none is known.
    """

    videos: Ordinals
    spans: Doubles
    scores: Doubles
    relevances: Floats
    proposals: Ordinals
    refined: NDArray[np.bool_]
    confidences: Floats | None = None
    confidence_threshold: float | None = None
    parts: Doubles | None = None
    also: tuple[tuple[Also, ...], ...] | None = None
    best: Doubles | None = None

    def __len__(self) -> int:
        return len(self.videos)

    def of(self, rows: NDArray[np.intp]) -> "Moments":
        """Return some rows, in that order."""
        return replace(
            self,
            videos=self.videos[rows],
            spans=self.spans[rows],
            scores=self.scores[rows],
            relevances=self.relevances[rows],
            proposals=self.proposals[rows],
            refined=self.refined[rows],
            confidences=None if self.confidences is None else self.confidences[rows],
            parts=None if self.parts is None else self.parts[rows],
            also=None if self.also is None else tuple(self.also[row] for row in rows.tolist()),
            best=None if self.best is None else self.best[rows],
        )

    @property
    def no_confident_match(self) -> bool:
        """True if no moment's confidence reaches the threshold; False without confidences."""
        if self.confidences is None or self.confidence_threshold is None:
            return False
        return not bool((self.confidences >= self.confidence_threshold).any())
