"""Queries of several parts: "A, then B". Every part is searched as a query of its own, then they are joined.

Videos where one part was found and another was not are searched once more for the other one, and those
alone, so that a part which is rare among the best segments of the whole collection still has its chance.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from engine import calls, channels, merge, sequences, sought, temporal, tracing
from engine.answers import Answer, Coverage
from engine.corpus import Corpus
from engine.deadline import Deadline
from engine.errors import Overloaded
from engine.evidence import Evidence
from engine.examples import Part
from engine.filters import Allowed, Stretch
from engine.negatives import Negatives
from engine.proposals import propose
from engine.queries import Query, SearchOptions
from engine.retrieval import Retriever
from engine.sequences import Candidates, Chains
from engine.sought import Retrieved
from engine.steps import Step, Steps
from engine.stopwatch import Stopwatch
from engine.texts import Sources
from engine.types import EncodedQuery, Moments, Proposals, Ranked

# A candidate that overlaps a better one of its part by more than this IoU is the same moment.
SAME = 0.5
Encode = Callable[[Part, SearchOptions, Deadline, str], Coroutine[Any, Any, EncodedQuery]]


class _Unranked(Exception):
    """No ranker answers for a part, so that the others need no answer."""


class Composer:
    """Answers queries of several parts over one version. encode: of a part. evidence: of what was sought."""

    def __init__(
        self,
        corpus: Corpus,
        retriever: Retriever,
        encode: Encode,
        negatives: Negatives,
        evidence: Callable[[Sources | None], Evidence | None],
    ) -> None:
        self._corpus, self._retriever = corpus, retriever
        self._encode, self._negatives, self._evidence = encode, negatives, evidence

    async def answers(
        self, query: Query, allowed: Allowed | None, deadline: Deadline, whole: bool
    ) -> AsyncIterator[Answer]:
        """Yield the coarse answer, then the refined one, as `Pipeline.answers`, each with all its moments."""
        options, watch = query.options, Stopwatch()
        with tracing.span("encode", parts=len(query.parts)):
            encoded = await self._encoded(query, deadline)
        watch.lap("encode")
        with tracing.span("retrieve", top_k=options.segment_top_k):
            retrieved = await self._retrieve(encoded, options, allowed, deadline)
        watch.lap("retrieve", retrieved[0].timings)
        with tracing.span("propose"):
            found = [self._propose(one, options, allowed) for one in retrieved]
            coarse = self._coarse(found, retrieved, query, watch)
        coarse = replace(
            coarse,
            truncated=any(one.truncated for one in encoded),
            allowed=None if allowed is None else allowed.count,
        )
        yield coarse
        if not options.rerank:
            return
        found = self._promising(found, options)
        if not all(len(part.proposals) for part in found):
            yield coarse
            return
        ranked = await self._ranked(encoded, found, query, allowed, deadline, whole)
        watch.lap("rank")
        if ranked is None:
            yield replace(coarse, coverage=coarse.coverage.unranked(), timings=watch.laps())
            return
        moments, proposals, steps = _refined(found, ranked, query.within)
        yield replace(
            coarse,
            moments=moments,
            proposals=proposals,
            steps=steps,
            timings=watch.laps(),
            ranker_model=ranked[0].ranker,
        )

    async def _encoded(self, query: Query, deadline: Deadline) -> list[EncodedQuery]:
        named = ((part, query.field_of(at)) for at, part in enumerate(query.parts))
        return await calls.together(self._encode(part, query.options, deadline, at) for part, at in named)

    async def _retrieve(
        self,
        parts: Sequence[EncodedQuery],
        options: SearchOptions,
        allowed: Allowed | None,
        deadline: Deadline,
    ) -> list[Retrieved]:
        """Retrieve every part, and each once more in the videos where only others were found."""
        retrieve = self._retriever.retrieve
        first = await calls.together(retrieve(part, options, deadline, allowed) for part in parts)
        anywhere = np.unique(np.concatenate([one.hits.videos for one in first]))
        stretch = Stretch() if allowed is None else allowed.stretch

        async def again(part: EncodedQuery, one: Retrieved) -> Retrieved:
            mask = np.zeros(len(self._corpus.catalogue), np.bool_)
            mask[np.setdiff1d(anywhere, one.hits.videos)] = True
            if not mask.any():
                return one
            more = await retrieve(part, options, deadline, Allowed(mask, int(mask.sum()), stretch))
            return sought.together(self._corpus.version, one, more, 2 * options.segment_top_k)

        return await calls.together(again(*each) for each in zip(parts, first, strict=True))

    def _propose(self, one: Retrieved, options: SearchOptions, allowed: Allowed | None) -> Step:
        durations, segment_length = self._corpus.catalogue.durations, self._corpus.version.segment_length
        proposals = propose(one.hits, durations, segment_length, options.rule)
        if allowed is not None:
            proposals = allowed.cut(proposals, durations)
        proposals = channels.with_texts(proposals, one.texts, segment_length)
        return Step(one.hits, proposals, self._evidence(one.sources))

    def _coarse(
        self, found: Sequence[Step], retrieved: Sequence[Retrieved], query: Query, watch: Stopwatch
    ) -> Answer:
        """Join the proposals as they are."""
        chains = sequences.join([part.candidates for part in found], query.within)
        proposals = _covering(found, chains)
        spans = np.stack([part.proposals.spans[at] for part, at in _columns(found, chains)], axis=1)
        n = len(chains)
        moments = Moments(
            proposals.videos,
            proposals.spans,
            chains.logs,
            np.zeros(n, np.float32),
            np.arange(n, dtype=np.int32),
            np.zeros(n, bool),
            parts=spans,
        )
        watch.lap("propose")
        return Answer(
            moments,
            proposals,
            Coverage.together([one.coverage for one in retrieved]),
            watch.laps(),
            hits=merge.top_k([part.hits for part in found], sum(len(part.hits) for part in found)),
            steps=Steps.of_chains(found, chains.rows),
        )

    def _promising(self, found: Sequence[Step], options: SearchOptions) -> list[Step]:
        rows = sequences.promising([part.candidates for part in found], options.proposal_top_k)
        return [part.of(at) for part, at in zip(found, rows, strict=True)]

    async def _ranked(
        self,
        encoded: Sequence[EncodedQuery],
        found: Sequence[Step],
        query: Query,
        allowed: Allowed | None,
        deadline: Deadline,
        whole: bool,
    ) -> list[Ranked] | None:
        """Return what the rankers say of the proposals of every part, None where they do not of all."""
        searched = None if allowed is None else allowed.count

        async def rank(one: EncodedQuery, proposals: Proposals, part: Part) -> Ranked:
            told = (part.not_texts, query.options, deadline, searched)
            ranked = await self._negatives.ranked(one, proposals, *told)
            if ranked is None or ranked.seen is not None:
                raise _Unranked
            if allowed is None:
                return ranked
            return allowed.cut_refined(ranked, proposals, self._corpus.catalogue.durations)

        try:
            with tracing.span("rank", proposals=sum(len(part.proposals) for part in found)):
                each = zip(encoded, found, query.parts, strict=True)
                return await calls.together(rank(one, had.proposals, part) for one, had, part in each)
        except Overloaded:
            if whole:
                raise
        except _Unranked:
            pass
        return None


def _refined(
    found: Sequence[Step], ranked: Sequence[Ranked], within: float
) -> tuple[Moments, Proposals, Steps]:
    """Join the refined moments of every part; return the chains, what they were, and their steps."""
    candidates, kept = [], []
    for part, one in zip(found, ranked, strict=True):
        order = np.argsort(-one.scores, kind="stable")
        videos = part.proposals.videos
        rows = order[temporal.suppress(videos[order], one.spans[order], SAME)]
        logs = sequences.log_probabilities(one.confidences, one.scores)
        candidates.append(Candidates(videos, one.spans, logs).of(rows))
        kept.append(rows)
    chains = sequences.join(candidates, within)
    rows = np.stack([at[column] for at, column in zip(kept, chains.rows.T, strict=True)], axis=1)
    chains = Chains(rows, chains.logs)
    columns = list(_columns(ranked, chains))
    parts = np.stack([one.spans[at] for one, at in columns], axis=1)
    before = sum(part.candidates.logs[at] for part, at in _columns(found, chains))
    order = np.argsort(-np.asarray(before), kind="stable")
    proposals = _covering(found, Chains(rows[order], chains.logs[order]))
    sure = all(one.confidences is not None for one in ranked)
    threshold = ranked[0].confidence_threshold
    return (
        Moments(
            videos=found[0].proposals.videos[rows[:, 0]],
            spans=np.stack([parts[:, :, 0].min(axis=1), parts[:, :, 1].max(axis=1)], axis=1),
            scores=chains.logs,
            relevances=np.mean([one.relevances[at] for one, at in columns], axis=0).astype(np.float32),
            proposals=np.argsort(order).astype(np.int32),
            refined=np.all([one.refined[at] for one, at in columns], axis=0),
            confidences=np.exp(chains.logs).astype(np.float32) if sure else None,
            # As sure as a chain is of which every part is just sure enough.
            confidence_threshold=threshold ** len(found) if sure and threshold is not None else None,
            parts=parts,
            best=ranked[0].shown[rows[:, 0]],
        ),
        proposals,
        Steps.of_chains(found, rows[order]),
    )


def _columns(parts: Sequence, chains: Chains) -> "zip[tuple]":  # type: ignore[type-arg]
    """Pair every part with the rows (m,) of its candidates in the chains."""
    return zip(parts, chains.rows.T, strict=True)


def _covering(found: Sequence[Step], chains: Chains) -> Proposals:
    """Return for each chain what covers its parts' proposals, with the best rank of any of their segments."""
    own = [part.proposals for part in found]
    spans = np.stack([one.spans[at] for one, at in _columns(own, chains)], axis=1)
    return Proposals(
        videos=own[0].videos[chains.rows[:, 0]],
        spans=np.stack([spans[:, :, 0].min(axis=1), spans[:, :, 1].max(axis=1)], axis=1),
        ranks=np.min([one.ranks[at] for one, at in _columns(own, chains)], axis=0).astype(np.int32),
        scores=np.mean([one.scores[at] for one, at in _columns(own, chains)], axis=0).astype(np.float32),
    )
