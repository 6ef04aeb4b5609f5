"""What is seen, said and written: their ranked lists are one list of segments, and columns of proposals.

Weighted reciprocal rank fusion (Cormack et al., SIGIR 2009): a segment's score is the sum, over the lists it
is in, of weight / (60 + rank). Scores of different lists do not compare, ranks do.

A text list has hits for any query. What chance finds is left out, and without a ranker that weighs texts a
hit counts by how sure it is, so that a query that nobody says or writes is answered as without texts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.entries import TextsEntry
from engine.temporal import demoted
from engine.texts import LISTS, MEANING, SEEN, ListName, TextHits
from engine.types import Doubles, Floats, Hits, Ordinals, Proposals, Ranked

RANK_CONSTANT = 60
# Of lists that no judged queries gave a weight.
WEIGHTS: Mapping[str, float] = {
    SEEN: 1.0,
    "said.words": 1.0,
    "said.meaning": 1.0,
    "written.words": 1.0,
    "written.meaning": 1.0,
}
# Scores from which on a hit is more than chance, and from which on it is sure; of meaning as shares of the
# way from the usual cosine to 1. Chosen on val of the rendered worlds.
WORDS_SURE = (0.17, 0.3)
MEANING_SURE = (0.36, 0.52)
# Moments that overlap a better one of their video by more than this IoU come after all others.
OVERLAP = 0.5


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
        begins, ends = _rows(keys, proposals, segment_length)
        found[:, LISTS.index(one.name)] = _reduced(np.maximum, one.hits.scores[order], begins, ends, 0)
    return found


def ranks(proposals: Proposals, hits: Hits, segment_length: float) -> NDArray[np.int64]:
    """Return (n,) the best rank of each proposal's segments in a list, the list's length where in none."""
    order = np.lexsort((hits.segments, hits.videos))
    begins, ends = _rows(_keys(hits.videos[order], hits.segments[order]), proposals, segment_length)
    return _reduced(np.minimum, order, begins, ends, len(order))


def with_texts(proposals: Proposals, texts: Sequence[TextHits], segment_length: float) -> Proposals:
    """Return proposals with what texts say of them; as they are where nothing was found in texts."""
    if not any(len(one.hits) for one in texts):
        return proposals
    return replace(proposals, texts=columns(proposals, texts, segment_length))


def telling(texts: Sequence[TextHits], usual_cosine: float) -> tuple[TextHits, ...]:
    """Return lists without the hits that chance finds."""
    found = []
    for one in texts:
        kept = _over(one.name, one.hits.scores, usual_cosine) > 0
        hits = Hits(one.hits.videos[kept], one.hits.segments[kept], one.hits.scores[kept])
        found.append(TextHits(one.name, hits))
    return tuple(found)


def sureness(texts: Floats, usual_cosine: float) -> Doubles:
    """Return columns (n, 4) of `RankQuery.texts` (n, 4): 0 for what chance finds, from 1/2 to 1 for more."""
    each = zip(LISTS, texts.T, strict=True)
    sure = np.stack([_sure(name, column, usual_cosine) for name, column in each], axis=1)
    return np.where(sure > 0, (1 + sure) / 2, 0.0)


def after_ranking(ranked: Ranked, proposals: Proposals, about: TextsEntry | None) -> Ranked:
    """Return ranked proposals with the scores of the fusion of the ranker's order and the text lists.

    Unchanged where no text names a proposal, or pictures were sought too and the ranker weighed the texts
    itself. In a text list a proposal's rank is that of its column; equal ones share the better rank. The
    ranker's order takes the weight of what is seen, none where nothing was sought there: its score is of
    pictures most of all. Confidences go: they are of the ranker's order.
    """
    texts = proposals.texts
    if about is None or texts is None or not texts.any():
        return ranked
    weights, pictures = about.weights or WEIGHTS, _in_pictures(proposals)
    if ranked.texts_weighed and pictures:
        return ranked
    scores = np.zeros(len(ranked))
    if pictures:
        scores += weights.get(SEEN, 0.0) / (RANK_CONSTANT + _ranks(ranked.scores))
    for name, column in zip(LISTS, texts.T, strict=True):
        shares = weights.get(".".join(name), 0.0) / (RANK_CONSTANT + _ranks(column))
        sure = _sure(name, column, about.usual_cosine) if pictures else 1.0
        scores += np.where(column != 0, sure * shares, 0.0)
    scores = demoted(scores, proposals.videos, ranked.spans, OVERLAP)
    return replace(ranked.unsure(), scores=scores)


def _in_pictures(proposals: Proposals) -> bool:
    """Tell whether proposals are of what is seen too: fused, they have its cosines."""
    return proposals.cosines is None or bool(proposals.cosines.any())


def _over(name: ListName, scores: Floats, usual_cosine: float) -> Doubles:
    """Return (n,) how far scores are over what chance finds, 0 below."""
    found, least = scores.astype(np.float64), WORDS_SURE[0]
    if name.method == MEANING:
        found, least = (found - usual_cosine) / (1 - usual_cosine), MEANING_SURE[0]
    over: Doubles = np.maximum(found - least, 0.0)
    return over


def _sure(name: ListName, scores: Floats, usual_cosine: float) -> Doubles:
    """Return (n,) how sure hits of a list are, 0..1."""
    low, high = MEANING_SURE if name.method == MEANING else WORDS_SURE
    return np.minimum(_over(name, scores, usual_cosine) / (high - low), 1.0)


def _ranks(scores: NDArray[np.floating]) -> NDArray[np.intp]:
    """Return (n,) how many scores are above each."""
    return np.searchsorted(np.sort(-scores), -scores)


def _rows(
    keys: NDArray[np.int64], proposals: Proposals, segment_length: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return of each proposal the first of its rows in a sorted list, and the one behind the last."""
    first, last = _segments(proposals.spans, segment_length)
    begins = np.searchsorted(keys, _keys(proposals.videos, first))
    return begins, np.searchsorted(keys, _keys(proposals.videos, last), "right")


def _reduced(
    ufunc: np.ufunc, values: NDArray[Any], begins: NDArray[np.intp], ends: NDArray[np.intp], none: float
) -> NDArray[Any]:
    """Return (n,) what a ufunc makes of the values in each [begin, end), `none` where that is empty."""
    found = np.full(len(begins), none, values.dtype)
    hit = np.flatnonzero(ends > begins)
    if len(hit):
        # Pairs of begin and end; what lies between an end and the next begin is not read.
        bounds = np.stack([begins[hit], ends[hit]], axis=1).ravel()
        found[hit] = ufunc.reduceat(np.append(values, values[-1:]), bounds)[::2]
    return found


def _segments(spans: Doubles, segment_length: float) -> tuple[Ordinals, Ordinals]:
    """Return the first and the last segment that each span (n, 2) touches."""
    first = np.floor(spans[:, 0] / segment_length + 1e-6).astype(np.int32)
    last = np.ceil(spans[:, 1] / segment_length - 1e-6).astype(np.int32) - 1
    return first, np.maximum(first, last)


def _keys(videos: Ordinals, segments: Ordinals) -> NDArray[np.int64]:
    return (videos.astype(np.int64) << 32) | segments.astype(np.int64)
