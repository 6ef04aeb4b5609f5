"""The nouns of a search: Hits -> Proposals -> Moments.

Each stage is columns of numpy arrays, one row a thing, so that no Python object is made before the page
is cut. A video is named by its ordinal in the generation's catalogue; only the edge turns it into an id.
Times are seconds from the first frame; intervals are half-open.
"""

from dataclasses import dataclass

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
    scores: (n,) float32, higher is better. A hit's rank is its row.
    """

    videos: Ordinals
    segments: Ordinals
    scores: Floats

    def __len__(self) -> int:
        return len(self.videos)


@dataclass(frozen=True, slots=True)
class Proposals:
    """Coarse moments of one query, ordered by their best segment's rank.

    videos: (n,) int32. spans: (n, 2) float64 seconds. ranks: (n,) int32 rank of the best segment, from 0.
    scores: (n,) float32 score of the best segment.
    """

    videos: Ordinals
    spans: Doubles
    ranks: Ordinals
    scores: Floats

    def __len__(self) -> int:
        return len(self.videos)


@dataclass(frozen=True, slots=True)
class Moments:
    """The ranked answer to one query, best first.

    videos: (n,) int32. spans: (n, 2) float64 seconds. scores: (n,) float64. relevances: (n,) float32.
    proposals: (n,) int32 row of the proposal each came from. refined: (n,) bool.
    confidences: (n,) float32 probability that a moment is relevant, NaN where the ranker did not see it; None
    from a ranker that says none. nothing_below: the lowest of them that means something good.
    """

    videos: Ordinals
    spans: Doubles
    scores: Doubles
    relevances: Floats
    proposals: Ordinals
    refined: NDArray[np.bool_]
    confidences: Floats | None = None
    nothing_below: float = 0.0

    def __len__(self) -> int:
        return len(self.videos)

    @property
    def confidence_threshold(self) -> float | None:
        """From what confidence on a moment counts as found; None where the ranker says no confidence."""
        return None if self.confidences is None else self.nothing_below

    @property
    def nothing_good(self) -> bool:
        """Whether the ranker is sure of no moment."""
        if self.confidences is None:
            return False
        return not bool((self.confidences >= self.nothing_below).any())


@dataclass(frozen=True, slots=True)
class EncodedQuery:
    """A sentence as the encoder sees it.

    embedding: (dim,) float32, unit length, in the index's space. token_states: (tokens, width) float32.
    text_embedding: (encoder dim,) float32, the space of the frame features. model_id: embedding model.
    truncated: whether the text was longer than the encoder reads, so that its end was left out.
    """

    embedding: Floats
    token_states: Floats
    text_embedding: Floats
    model_id: str
    truncated: bool = False
