"""What every version is to answer: the whole search by brute force, in this process, without an index."""

import threading
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from engine import merge, ranking
from engine.corpus import open_corpus
from engine.proposals import propose
from engine.queries import RULE, SearchOptions
from engine.types import EncodedQuery, Floats, Hits, Moments, RankQuery
from trainer.collection.segments import VideoRows, embed
from workers.ranker.models import Models, SharedModels

# (video, start, end, score) of each moment, best first.
Found: TypeAlias = tuple[tuple[str, float, float, float], ...]
TOLERANCE = 1e-6


class Oracle:
    """Answers for any version of a collection. depth: segments that are fetched; page: moments of a page."""

    def __init__(self, collection: Path, depth: int, page: int) -> None:
        self._collection, self._depth, self._page = collection, depth, page
        self._shared = SharedModels("cpu")
        self._opened: dict[str, tuple[Models, list[Floats]]] = {}
        self._opening = threading.Lock()
        self._queries: dict[str, EncodedQuery] = {}
        self._answers: dict[tuple[str, str, frozenset[str], bool], Found] = {}

    def answer(self, version: str, text: str, lost: Collection[str] = (), refined: bool = True) -> Found:
        """Return the first page of a version's answer to a sentence, without the videos of lost shards."""
        key = (version, text, frozenset(lost), refined)
        if key not in self._answers:
            self._answers[key] = self._search(*key)
        return self._answers[key]

    def know(self, version: str) -> None:
        """Open a version, so that its answers are known when its files are gone."""
        self._open(version)

    def videos(self, version: str) -> set[str]:
        """Return the ids of a version's living videos."""
        return set(open_corpus(self._collection, version).catalogue.ids)

    @staticmethod
    def videos_of(collection: Path) -> set[str]:
        """Return the ids of the current version of another collection."""
        return set(open_corpus(collection).catalogue.ids)

    def _search(self, version: str, text: str, lost: frozenset[str], refined: bool) -> Found:
        models, vectors = self._open(version)
        if text not in self._queries:
            (self._queries[text],) = models.encode([text])
        query, catalogue = self._queries[text], models.corpus.catalogue
        names = [shard.name for shard in models.version.shards]
        parts = [
            _hits(video, rows, query.embedding)
            for video, rows in enumerate(vectors)
            if names[catalogue.shards[video]] not in lost
        ]
        hits = merge.top_k(parts, self._depth)
        proposals = propose(hits, catalogue.durations, models.version.segment_length, RULE)
        moments = ranking.coarse(proposals)
        if refined and len(proposals):
            chosen = ranking.take(proposals, SearchOptions().proposal_top_k)
            (ranked,) = models.ranker.rank_many([RankQuery.of(query, chosen)], models.features)
            moments = ranking.ordered(proposals, ranked)
        return self._told(moments, catalogue.ids)

    def _told(self, moments: Moments, ids: Sequence[str]) -> Found:
        rows = zip(moments.videos, moments.spans.tolist(), moments.scores.tolist(), strict=True)
        return tuple((ids[video], *span, score) for video, span, score in rows)[: self._page]

    def _open(self, version: str) -> tuple[Models, list[Floats]]:
        with self._opening:
            return self._open_once(version)

    def _open_once(self, version: str) -> tuple[Models, list[Floats]]:
        if version not in self._opened:
            models = self._shared.open(open_corpus(self._collection, version))
            rows = VideoRows.of_contexts(models.features)
            length = round(models.version.segment_length / models.features.step("frames"))
            counts = rows.segment_counts(length)
            blocks = [*embed(rows, models.projector, torch.device("cpu"))]
            every = np.concatenate(blocks) if blocks else np.empty((0, models.version.dim), np.float32)
            self._opened[version] = models, np.split(every, np.cumsum(counts)[:-1])
        return self._opened[version]


def _hits(video: int, rows: Floats, vector: Floats) -> Hits:
    numbers = np.arange(len(rows), dtype=np.int32)
    return Hits(np.full(len(rows), video, np.int32), numbers, np.asarray(rows @ vector, np.float32))


def same(found: Found, expected: Found) -> bool:
    """Whether an answer is the expected one: ids the same, seconds and scores to 1e-6."""
    if [one[0] for one in found] != [one[0] for one in expected]:
        return False
    figures, wanted = ([one[1:] for one in moments] for moments in (found, expected))
    return bool(np.allclose(figures, wanted, rtol=0, atol=TOLERANCE))
