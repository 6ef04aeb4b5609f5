"""A search: encode, retrieve, propose, rank."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from engine import calls, channels, duplicates, ranking, tracing
from engine.answers import Answer
from engine.choosing import Choosing
from engine.composed import Composer
from engine.corpus import Corpus
from engine.deadline import Deadline
from engine.encoding import QueryEncoder, Sentences
from engine.errors import Overloaded
from engine.evidence import Evidence
from engine.explanations import Compared, Explanation
from engine.filters import Allowed, Filters
from engine.negatives import Negatives
from engine.proposals import propose
from engine.queries import Query, SearchOptions
from engine.ranking import Rankers
from engine.retrieval import Retriever
from engine.stopwatch import Stopwatch
from engine.texts import Sources
from engine.types import EncodedQuery, Proposals, Ranked
from engine.version_texts import VersionTexts


class Pipeline:
    """Answers queries over one version. sentences: asked again, they need no encoder."""

    def __init__(self, corpus: Corpus, retriever: Retriever, rankers: Rankers, sentences: Sentences) -> None:
        self.corpus = corpus
        self._retriever = retriever
        self._rankers = rankers
        self.encoder = QueryEncoder(corpus, rankers, sentences)
        self.filters = Filters(corpus.catalogue)
        self._negatives = Negatives(corpus, retriever, rankers, self.encoder.sentence)
        self._choosing = Choosing(corpus)
        self._texts = VersionTexts(corpus)
        self._composer = Composer(corpus, retriever, self.encoder.part, self._negatives, self._evidence)

    async def search(self, query: Query, deadline: Deadline) -> Answer:
        """Return the best answer there is before the deadline; Overloaded where workers refuse it for now."""
        return [answer async for answer in self.answers(query, deadline, whole=True)][-1]

    async def answers(self, query: Query, deadline: Deadline, whole: bool = False) -> AsyncIterator[Answer]:
        """Yield the coarse answer and then, unless the query asks for none, the refined one.

        whole: the last answer alone; raise Overloaded where the rankers refuse, in place of one that is not
        refined.
        """
        if query.parts:
            allowed = None if query.filter is None else await self.filters.allowed(query.filter)
            async for answer in self._composer.answers(query, allowed, deadline, whole):
                yield replace(answer, moments=await self._choosing.of(answer.moments, query.options))
            return
        options, watch = query.options, Stopwatch()
        # No span is open at a yield: the caller may end the generator in another task.
        with tracing.span("encode"):
            encoded = await self.encoder.encode(query, deadline)
        watch.lap("encode")
        allowed = None if query.filter is None else await self.filters.allowed(query.filter)
        coarse = await self._coarse(encoded, options, allowed, deadline, watch)
        refines = options.rerank and query.embedding is None
        ranks = refines and len(coarse.proposals) > 0
        if not (whole and ranks):
            yield await self._chosen(coarse, options, soon=ranks)
        if not ranks:
            if refines:
                yield coarse
            return
        proposals = ranking.take(coarse.proposals, options.proposal_top_k)
        ranked = await self._ranked(encoded, proposals, query, coarse.allowed, deadline, whole)
        watch.lap("rank")
        if ranked is None:
            chosen = await self._chosen(coarse, options)
            yield replace(chosen, coverage=coarse.coverage.unranked(), timings=watch.laps())
            return
        refined = await self._refined(coarse, ranked, proposals, query, allowed)
        yield replace(refined, ranker_model=ranked.ranker, timings=watch.laps())

    async def _coarse(
        self,
        encoded: EncodedQuery,
        options: SearchOptions,
        allowed: Allowed | None,
        deadline: Deadline,
        watch: Stopwatch,
    ) -> Answer:
        """Return the proposals, of what is allowed, as they are; none is left out of its moments yet."""
        with tracing.span("retrieve", top_k=options.segment_top_k):
            retrieved = await self._retriever.retrieve(encoded, options, deadline, allowed)
            tracing.note(hits=len(retrieved.hits), coverage=retrieved.coverage.ratio)
        watch.lap("retrieve", retrieved.timings)
        with tracing.span("propose"):
            durations, segment_length = self.corpus.catalogue.durations, self.corpus.version.segment_length
            proposals = propose(retrieved.hits, durations, segment_length, options.rule)
            if allowed is not None:
                proposals = allowed.cut(proposals, durations)
            proposals = channels.with_texts(proposals, retrieved.texts, segment_length)
            tracing.note(proposals=len(proposals))
        watch.lap("propose")
        return Answer(
            ranking.coarse(proposals),
            proposals,
            retrieved.coverage,
            watch.laps(),
            truncated=encoded.truncated,
            hits=retrieved.hits,
            allowed=None if allowed is None else allowed.count,
            evidence=self._evidence(retrieved.sources),
        )

    async def _chosen(self, answer: Answer, options: SearchOptions, soon: bool = False) -> Answer:
        """Return an answer with the moments that the options want. soon: the next answer replaces it."""
        most = duplicates.SOON if soon else duplicates.MOST
        return replace(answer, moments=await self._choosing.of(answer.moments, options, most))

    def _evidence(self, sources: Sources | None) -> Evidence | None:
        if sources is None:
            return None
        return Evidence(sources, self._texts, self.corpus.version.segment_length)

    async def _ranked(
        self,
        encoded: EncodedQuery,
        chosen: Proposals,
        query: Query,
        searched: int | None,
        deadline: Deadline,
        whole: bool,
    ) -> Ranked | None:
        """Return what the rankers say of proposals out of so many videos, None where none answers."""
        try:
            with tracing.span("rank", proposals=len(chosen)):
                told = (query.not_texts, query.options, deadline, searched)
                return await self._negatives.ranked(encoded, chosen, *told)
        except Overloaded:
            if whole:
                raise
            return None

    async def _refined(
        self, coarse: Answer, ranked: Ranked, proposals: Proposals, query: Query, allowed: Allowed | None
    ) -> Answer:
        """Return the answer by what rankers say of its proposals."""
        durations = self.corpus.catalogue.durations
        if coarse.evidence is not None and proposals.texts is not None:
            ranked = await asyncio.to_thread(coarse.evidence.spans, ranked, proposals, durations)
        if allowed is not None:
            ranked = allowed.cut_refined(ranked, proposals, durations)
        # What was not ranked may show what must not be there.
        listed = proposals if query.not_texts else coarse.proposals
        moments = await self._choosing.of(ranking.ordered(listed, ranked), query.options)
        coverage = coarse.coverage if ranked.seen is None else coarse.coverage.unranked()
        return replace(coarse, moments=moments, coverage=coverage)

    async def explain(self, query: Query, video: int, deadline: Deadline) -> Explanation:
        """Search, and compare the sentences with every second of one video."""
        # Of one video: what it shows is told, whatever others show it too.
        query = replace(query, options=replace(query.options, merge_duplicates=False))
        answer = await self.search(query, deadline)
        encode = self.encoder
        if query.parts:
            encoded = await calls.together(encode.part(part, query.options, deadline) for part in query.parts)
        else:
            encoded = [await encode.encode(query, deadline)]
        compared = await calls.together(self._rankers.compare(one, video, deadline) for one in encoded)
        return Explanation(answer, video, Compared.nearest(compared))
