"""Answers of a version without a service: the same models and rules in this process, over an exact search.

What a service with a flat index answers, to the last digit or two, without its processes; and the segments
themselves, which a service does not show. All segment vectors are held in memory.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine import channels, ranking, sought
from engine.catalogue import Catalogue
from engine.corpus import Corpus
from engine.errors import InvalidInput
from engine.evidence import Evidence
from engine.proposals import ProposalRule, propose
from engine.queries import SearchOptions
from engine.texts import CHANNELS, SEEN, Sources, TextHits
from engine.types import (
    Doubles,
    EncodedQuery,
    Floats,
    Hits,
    Moments,
    Ordinals,
    Proposals,
    Ranked,
    RankQuery,
)
from engine.version_texts import VersionTexts
from trainer.collection.annotations import JudgedQuery
from trainer.collection.retrieval import Retrieval
from trainer.collection.segments import VideoRows
from trainer.collection.text_retrieval import TextRetrieval
from trainer.evaluation.runfile import COARSE, REFINED, RETRIEVAL, Predicted
from trainer.generation.kit import as_built
from workers.ranker.models import Models
from workers.ranker.scoring.similarity_curve import SimilarityCurve

DEFAULTS = SearchOptions()


@dataclass(frozen=True, slots=True)
class Offline:
    """One version, searched exhaustively. vectors: (n, dim) unit rows of segments (videos, segments).

    texts: None where the version has none. lines: of its parts.
    """

    models: Models
    catalogue: Catalogue
    vectors: Floats
    videos: Ordinals
    segments: Ordinals
    texts: TextRetrieval | None
    lines: VersionTexts
    chosen: Sequence[str] = CHANNELS

    @staticmethod
    def open(
        collection: Path, version: str = "", device: str = "auto", chosen: Sequence[str] = CHANNELS
    ) -> "Offline":
        """Load a version's models, embed its segments; NotFound or Mismatch say what is wrong.

        version: its id or number, the current one for "". chosen: the channels that are searched.
        """
        models = Models.open(collection, version, device)
        rows = VideoRows.of_contexts(models.features)
        projector = as_built(models.projector, collection, models.version)
        found = Retrieval.embed(rows, projector, models.device)
        corpus, vectors = models.corpus, found.vectors.cpu().numpy()
        columns = (vectors, found.videos, found.numbers)
        texts = TextRetrieval.of_version(corpus, models.sentences)
        return Offline(models, corpus.catalogue, *columns, texts, VersionTexts(corpus), chosen)

    def answer(
        self, text: str, depth: int = DEFAULTS.segment_top_k, rule: ProposalRule = DEFAULTS.rule
    ) -> dict[str, list[Predicted]]:
        """Return one sentence's answer, stage by stage, best first; a service ranks as many proposals."""
        (query,) = self.models.encode([text])
        return self.answer_to(replace(query, text=text), depth, rule)

    def answer_to(
        self,
        query: EncodedQuery,
        depth: int = DEFAULTS.segment_top_k,
        rule: ProposalRule = DEFAULTS.rule,
    ) -> dict[str, list[Predicted]]:
        """Do as `answer` for an encoded query: one without words is ranked by the similarity curve."""
        found = self._found(query, *self._lists(query, depth), depth, rule)
        ranker = self.models.ranker if len(query.token_states) else SimilarityCurve()
        (ranked,) = ranker.rank_many([RankQuery.of(query, found.chosen)], self.models.features)
        moments = self._moments(found, ranked)
        hits, proposals = found.hits, found.proposals
        return {
            RETRIEVAL: self._predicted(hits.videos, self._spans(hits), hits.scores),
            COARSE: self._predicted(proposals.videos, proposals.spans, proposals.scores),
            REFINED: self._predicted(moments.videos, moments.spans, moments.scores, moments.confidences),
        }

    def alone(self, text: str) -> list[Moments]:
        """Return what a sentence's search with a filter of one video's id answers, video by video."""
        (query,) = self.models.encode([text])
        query = replace(query, text=text)
        seen, texts = self._lists(query, len(self.vectors))
        each = []
        for video in range(len(self.catalogue)):
            own = [TextHits(one.name, _of_video(one.hits, video)) for one in texts]
            hits = [_of_video(one, video) for one in seen]
            each.append(self._found(query, hits, own, DEFAULTS.segment_top_k, DEFAULTS.rule))
        asked = [RankQuery.of(query, found.chosen, searched=1) for found in each]
        ranked = self.models.ranker.rank_many(asked, self.models.features)
        return [self._moments(*one) for one in zip(each, ranked, strict=True)]

    def _lists(self, query: EncodedQuery, depth: int) -> tuple[list[Hits], list[TextHits]]:
        """Return what is seen, all of it, and the lists of texts, `depth` each."""
        seen = [Hits(self.videos, self.segments, self.vectors @ query.embedding)]
        texts = self.texts.search(query.text, query.sentence, depth) if self.texts and query.text else ()
        return seen if SEEN in self.chosen else [], [one for one in texts if one.name.channel in self.chosen]

    def _found(
        self,
        query: EncodedQuery,
        seen: Sequence[Hits],
        texts: Sequence[TextHits],
        depth: int,
        rule: ProposalRule,
    ) -> "_Found":
        version, length = self.models.version, self.models.version.segment_length
        hits, sources = sought.fused(version, query.text, seen, texts, depth)
        proposals = propose(hits, self.catalogue.durations, length, rule)
        if sources is not None:
            proposals = channels.with_texts(proposals, sources.texts, length)
        return _Found(hits, sources, proposals, ranking.take(proposals, DEFAULTS.proposal_top_k))

    def _moments(self, found: "_Found", ranked: Ranked) -> Moments:
        version, sources = self.models.version, found.sources
        if sources is not None and version.texts is not None:
            ranked = channels.after_ranking(ranked, found.chosen, version.texts)
            evidence = Evidence(sources, self.lines, version.segment_length)
            ranked = evidence.spans(ranked, found.chosen, self.catalogue.durations)
        return ranking.ordered(found.proposals, ranked)

    def _spans(self, hits: Hits) -> Doubles:
        length = self.models.version.segment_length
        starts = hits.segments * length
        return np.stack([starts, np.minimum(starts + length, self.catalogue.durations[hits.videos])], axis=1)

    def _predicted(
        self, videos: Ordinals, spans: Doubles, scores: Floats | Doubles, sure: Floats | None = None
    ) -> list[Predicted]:
        # NaN: the ranker did not see it.
        told = [None] * len(videos) if sure is None else [None if math.isnan(p) else p for p in sure.tolist()]
        rows = zip(videos.tolist(), spans.tolist(), scores.tolist(), told, strict=True)
        ids = self.catalogue.ids
        return [Predicted(ids[v], start, end, score, how) for v, (start, end), score, how in rows]


@dataclass(frozen=True, slots=True)
class _Found:
    """What was retrieved: segments, the lists they are of, all proposals, and those that are ranked."""

    hits: Hits
    sources: Sources | None
    proposals: Proposals
    chosen: Proposals


def _of_video(hits: Hits, video: int) -> Hits:
    own = hits.videos == video
    return Hits(hits.videos[own], hits.segments[own], hits.scores[own])


def search_offline(
    version: Offline,
    queries: Sequence[JudgedQuery],
    segment_top_k: int | None = None,
    on_done: Callable[[int], None] | None = None,
    rule: ProposalRule | None = None,
) -> dict[str, dict[int, list[Predicted]]]:
    """Return the answers to all queries as a run with all three stages; on_done gets the number finished.

    Raises InvalidInput where the version holds none of the videos that answer the queries.
    """
    check_holds(version.models.corpus, queries)
    return answers_to(version, queries, segment_top_k, rule, on_done)


def answers_to(
    version: Offline,
    queries: Sequence[JudgedQuery],
    segment_top_k: int | None = None,
    rule: ProposalRule | None = None,
    on_done: Callable[[int], None] | None = None,
) -> dict[str, dict[int, list[Predicted]]]:
    """Do as `search_offline`, also for queries that the version has no answer to."""
    run: dict[str, dict[int, list[Predicted]]] = {RETRIEVAL: {}, COARSE: {}, REFINED: {}}
    for done, query in enumerate(queries, start=1):
        answer = version.answer(query.query, segment_top_k or DEFAULTS.segment_top_k, rule or DEFAULTS.rule)
        for stage, rows in answer.items():
            run[stage][query.query_id] = rows
        if on_done:
            on_done(done)
    return run


def facts_of(version: Offline) -> dict[str, object]:
    """Return who answers: the version, its models, its segments' length in seconds."""
    about = version.models.version
    versions = {"version": about.id, "embedding_model": about.embedding_model}
    versions |= {"ranker_model": version.models.ranker.name}
    return {"versions": versions, "segment_length": about.segment_length}


def check_holds(corpus: Corpus, queries: Sequence[JudgedQuery]) -> None:
    """Refuse a version of another split, which would reach zero without saying why."""
    wanted = {moment.video for query in queries for moment in query.moments if moment.relevance}
    if wanted and not wanted & set(corpus.catalogue.ids):
        raise InvalidInput(
            f"Version {corpus.id} holds none of the {len(wanted)} videos that answer "
            "the queries; build one of their split: spr build COLLECTION --videos corpus_val.json"
        )
