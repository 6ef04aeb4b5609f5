"""A ranked list with the names of its videos, so that its pages outlive the version they are from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.answers import Answer
from engine.corpus import Corpus
from engine.queries import Interpretation, Query

MOST_FACETS = 100
ANY = Query()


@dataclass(frozen=True, slots=True)
class Facet:
    """How many videos of a list, and moments of theirs, have a label."""

    label: str
    videos: int
    moments: int


@dataclass(frozen=True, slots=True)
class Listed:
    """An answer, and what its pages tell of the collection and the version that gave it.

    ids, uris: of each moment's video. also: of each moment (id, start, end) of what shows the same. facets:
    labels, where they are asked for. understood: see `Query`.
    """

    answer: Answer
    collection: str
    version: str
    embedding_model: str
    ids: list[str]
    uris: list[str]
    facets: tuple[Facet, ...] = ()
    understood: Interpretation | None = None
    also: Sequence[Sequence[tuple[str, float, float]]] = ()

    @staticmethod
    def of(answer: Answer, corpus: Corpus, query: Query = ANY) -> "Listed":
        """Name the videos of an answer from `corpus`; count their labels if `query` asks for it."""
        catalogue, videos = corpus.catalogue, answer.moments.videos.tolist()
        ids, uris = [catalogue.ids[video] for video in videos], [catalogue.uris[video] for video in videos]
        counts = _facets(answer, corpus) if query.options.facets else ()
        model = corpus.version.embedding_model
        also = [
            [(catalogue.ids[one.video], one.start, one.end) for one in same]
            for same in answer.moments.also or ()
        ]
        return Listed(answer, corpus.name, corpus.id, model, ids, uris, counts, query.understood, also)


def _facets(answer: Answer, corpus: Corpus) -> tuple[Facet, ...]:
    """Count the labels of the videos of an answer's moments, the most frequent first."""
    found: dict[str, tuple[int, int]] = {}
    videos, moments = np.unique(answer.moments.videos, return_counts=True)
    for video, count in zip(videos.tolist(), moments.tolist(), strict=True):
        for label in corpus.catalogue.facts.labels[video]:
            before = found.get(label, (0, 0))
            found[label] = before[0] + 1, before[1] + count
    ordered = sorted(found.items(), key=lambda item: (-item[1][0], -item[1][1], item[0]))
    return tuple(Facet(label, *counts) for label, counts in ordered[:MOST_FACETS])
