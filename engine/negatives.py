"""Negative texts: moments that show what must not be there sink.

A moment's confidence is multiplied by 1 - P(negative), for each negative text; one that probably shows it
comes after all that do not. P(negative) is the ranker's confidence that the text describes a span of the
moment: it refines the text from the moment's own span, with the text's own retrieval scores, and what it
finds counts by its overlap with the moment. A ranker without confidences gives the difference of
relevances.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np

from engine import calls, channels
from engine.corpus import Corpus
from engine.deadline import Deadline
from engine.entries import TextsEntry
from engine.filters import Allowed, Stretch
from engine.queries import MOST_SEGMENTS, SearchOptions
from engine.ranking import Rankers
from engine.retrieval import Retriever
from engine.types import Doubles, EncodedQuery, Floats, Hits, Proposals, Ranked

# P(negative) from which on a moment counts as one that shows it.
PROBABLY = 0.5
Encode = Callable[[str, SearchOptions, Deadline], Awaitable[EncodedQuery]]


class Negatives:
    """Judges moments by what they must not show, over one version."""

    def __init__(self, corpus: Corpus, retriever: Retriever, rankers: Rankers, encode: Encode) -> None:
        self._corpus, self._retriever, self._rankers = corpus, retriever, rankers
        self._encode = encode

    async def ranked(
        self,
        query: EncodedQuery,
        proposals: Proposals,
        texts: Sequence[str],
        options: SearchOptions,
        deadline: Deadline,
        searched: int | None,
    ) -> Ranked | None:
        """Return ranked proposals with the scores that the negative texts leave them; None: nobody ranks.

        searched: as in `Rankers.rank`.
        """
        ranked = await self._rankers.rank(query, proposals, deadline, searched)
        if ranked is None:
            return ranked
        if query.shown:
            ranked = ranked.unsure()
        about = self._corpus.version.texts
        if texts and ranked.seen is not None:
            return None  # what was not ranked may show what must not be there
        if not texts:
            return channels.after_ranking(ranked, proposals, about)
        moments = replace(proposals, spans=ranked.spans)
        judged = await calls.together(self._judged(text, moments, options, deadline) for text in texts)
        shown = [one for one in judged if one is not None and one.seen is None]
        if len(shown) < len(texts):
            return None
        return with_texts(lessened(ranked, shown), proposals, about)

    async def _judged(
        self, text: str, moments: Proposals, options: SearchOptions, deadline: Deadline
    ) -> Ranked | None:
        """Rank moments (n) by a text: the moments themselves are its proposals."""
        encoded = await self._encode(text, options, deadline)
        mask = np.zeros(len(self._corpus.catalogue), np.bool_)
        mask[moments.videos] = True
        allowed = Allowed(mask, int(mask.sum()), Stretch())
        deep = replace(options, segment_top_k=MOST_SEGMENTS, min_coverage=0.0)
        found = await self._retriever.retrieve(encoded, deep, deadline, allowed)
        length = self._corpus.version.segment_length
        seen = found.hits if found.sources is None else found.sources.seen
        asked = replace(moments, scores=best_within(seen, moments, length), cosines=None, texts=None)
        return await self._rankers.rank(encoded, channels.with_texts(asked, found.texts, length), deadline)


def best_within(hits: Hits, moments: Proposals, length: float) -> Floats:
    """Return for each moment (n,) the score of the best hit in it; the least of all where none is.

    length: seconds of a segment.
    """
    scores = np.full(len(moments), hits.scores.min(initial=0.0), np.float32)
    for row, (video, (start, end)) in enumerate(zip(moments.videos, moments.spans, strict=True)):
        begins = hits.segments * length
        there = (hits.videos == video) & (begins < end) & (begins + length > start)
        scores[row] = hits.scores[there].max(initial=scores[row])
    return scores


def lessened(ranked: Ranked, negatives: Sequence[Ranked]) -> Ranked:
    """Return ranked moments with scores and confidences that their negatives leave them.

    negatives: the same rows, ranked by a negative text. With confidences the score is the confidence.
    """
    shares = [_shared(ranked.spans, negative.spans) for negative in negatives]
    if ranked.confidences is None or any(negative.confidences is None for negative in negatives):
        pairs = zip(shares, negatives, strict=True)
        shown = np.max([share * negative.relevances for share, negative in pairs], axis=0)
        return replace(ranked, scores=ranked.relevances.astype(np.float64) - shown)
    left, last = ranked.confidences.astype(np.float64), np.zeros(len(ranked), bool)
    for share, negative in zip(shares, negatives, strict=True):
        assert negative.confidences is not None
        shown = share * negative.confidences
        left, last = left * (1.0 - shown), last | (shown > PROBABLY)
    return replace(ranked, scores=left - last, confidences=left.astype(np.float32))


def with_texts(less: Ranked, proposals: Proposals, about: TextsEntry | None) -> Ranked:
    """Return what negatives left with the scores of `channels.after_ranking`.

    What probably shows a negative stays behind all that does not.
    """
    fused = channels.after_ranking(less, proposals, about)
    if fused is less or less.confidences is None:
        return fused
    below = fused.scores.max() - fused.scores.min() + 1
    # Of confidences, those that come last are below 0.
    return replace(fused, scores=fused.scores - below * (less.scores < 0))


def _shared(spans: Doubles, others: Doubles) -> Doubles:
    """Return (n,) the overlap of each span with the other of its row, as a share of the shorter, 0..1."""
    shared = np.minimum(spans[:, 1], others[:, 1]) - np.maximum(spans[:, 0], others[:, 0])
    shorter = np.minimum(spans[:, 1] - spans[:, 0], others[:, 1] - others[:, 0])
    return np.clip(shared / np.maximum(shorter, 1e-9), 0.0, 1.0)
