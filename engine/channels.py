"""What is seen, said and written: their ranked lists are one list of segments, and columns of proposals.

Weighted reciprocal rank fusion (Cormack et al., SIGIR 2009): a segment's score is the sum, over the lists it
is in, of weight / (60 + rank). Scores of different lists do not compare, ranks do.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from engine.texts import LISTS, SEEN, TextHits
from engine.types import Doubles, Floats, Hits, Ordinals, Proposals

RANK_CONSTANT = 60
# Of lists that no judged queries gave a weight.
WEIGHTS: Mapping[str, float] = {
    SEEN: 1.0,
    "said.words": 1.0,
    "said.meaning": 1.0,
    "written.words": 1.0,
    "written.meaning": 1.0,
}


def fuse(seen: Hits, texts: Sequence[TextHits], k: int, weights: Mapping[str, float] | None = None) -> Hits:
    """Return the `k` best segments of all lists, equal scores in order of (video, segment).

    Where no text was found they are `seen` as it is. Else the scores are of the fusion, and `cosines` those
    of what is seen; of a segment that is not in that list, the least of the list.
    """
    texts = [found for found in texts if len(found.hits)]
    if not texts:
        return seen
    weights = weights or WEIGHTS
    lists = [(SEEN, seen), *((".".join(found.name), found.hits) for found in texts)]
    keys, at = np.unique(
        np.concatenate([_keys(hits.videos, hits.segments) for _, hits in lists]), return_inverse=True
    )
    scores = np.zeros(len(keys))
    shares = [weights.get(name, 0.0) / (RANK_CONSTANT + np.arange(len(hits))) for name, hits in lists]
    np.add.at(scores, at, np.concatenate(shares))
    cosines = np.full(len(keys), seen.scores.min() if len(seen) else 0.0, np.float32)
    cosines[at[: len(seen)]] = seen.scores
    # The keys ascend by (video, segment), and the sort is stable.
    best = np.argsort(-scores, kind="stable")[:k]
    videos, segments = (keys[best] >> 32).astype(np.int32), (keys[best] & 0xFFFFFFFF).astype(np.int32)
    return Hits(videos, segments, scores[best].astype(np.float32), cosines[best])


def columns(proposals: Proposals, texts: Sequence[TextHits], segment_length: float) -> Floats:
    """Return (n, 4): the best score of each proposal's segments in each of LISTS, 0 where it is in none.

    segment_length: seconds.
    """
    found = np.zeros((len(proposals), len(LISTS)), np.float32)
    for one in texts:
        order = np.lexsort((one.hits.segments, one.hits.videos))
        keys = _keys(one.hits.videos[order], one.hits.segments[order])
        first, last = _segments(proposals.spans, segment_length)
        begins = np.searchsorted(keys, _keys(proposals.videos, first))
        ends = np.searchsorted(keys, _keys(proposals.videos, last), "right")
        scores = np.append(one.hits.scores[order], np.float32(0))
        hit = np.flatnonzero(ends > begins)
        # Pairs of begin and end; what lies between an end and the next begin is not read.
        bounds = np.stack([begins[hit], ends[hit]], axis=1).ravel()
        if len(hit):
            found[hit, LISTS.index(one.name)] = np.maximum.reduceat(scores, bounds)[::2]
    return found


def _segments(spans: Doubles, segment_length: float) -> tuple[Ordinals, Ordinals]:
    """Return the first and the last segment that each span (n, 2) touches."""
    first = np.floor(spans[:, 0] / segment_length + 1e-6).astype(np.int32)
    last = np.ceil(spans[:, 1] / segment_length - 1e-6).astype(np.int32) - 1
    return first, np.maximum(first, last)


def _keys(videos: Ordinals, segments: Ordinals) -> NDArray[np.int64]:
    return (videos.astype(np.int64) << 32) | segments.astype(np.int64)
