"""A query's ranked moments and its relevance judgements as columns, and when a moment is right."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.errors import InvalidInput
from engine.temporal import iou
from trainer.collection.annotations import JudgedQuery, load_queries

Bools = NDArray[np.bool_]
Doubles = NDArray[np.float64]
Names = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Ranking:
    """Predicted moments of one query, best first: videos (n,) names or ordinals, spans (n, 2) seconds.

    confidences: (n,) probabilities that a moment is right, NaN where unknown; None where all are.
    """

    videos: Names
    spans: Doubles
    confidences: Doubles | None = None

    @staticmethod
    def of(videos: Sequence[Any] | Names, spans: ArrayLike, confidences: Doubles | None = None) -> "Ranking":
        """Return the ranking of sequences of the same length; InvalidInput for a span not finite."""
        ends = np.asarray(spans, np.float64).reshape(-1, 2)
        if not np.isfinite(ends).all():
            raise InvalidInput("A predicted span is not finite; it is neither a right nor a wrong answer.")
        return Ranking(np.asarray(videos), ends, confidences)

    def __len__(self) -> int:
        return len(self.videos)

    def first(self, depth: int) -> "Ranking":
        """Return the first `depth` moments."""
        sure = None if self.confidences is None else self.confidences[:depth]
        return Ranking(self.videos[:depth], self.spans[:depth], sure)


EMPTY = Ranking.of([], [])


@dataclass(frozen=True, slots=True)
class Judgements:
    """Judged moments of one query: videos (m,) as in Ranking, spans (m, 2) seconds, relevances (m,) 0..4."""

    videos: Names
    spans: Doubles
    relevances: Doubles

    @staticmethod
    def of(query: JudgedQuery) -> "Judgements":
        """Return a query's moments as columns; raises InvalidInput where a moment carries no relevance."""
        grades = [moment.relevance for moment in query.moments]
        if None in grades:
            raise InvalidInput(
                f"Query {query.query_id} has moments without relevance; measure on a judged file."
            )
        spans = np.array([(moment.start, moment.end) for moment in query.moments], np.float64)
        videos = np.array([moment.video for moment in query.moments], str)
        return Judgements(videos, spans.reshape(-1, 2), np.array(grades, np.float64))

    @property
    def relevant_videos(self) -> Names:
        """The distinct videos that hold a relevant moment, (v,)."""
        return np.unique(self.videos[self.relevances > 0])

    @property
    def answerable(self) -> bool:
        """Whether any moment is relevant."""
        return bool((self.relevances > 0).any())


Rankings = Mapping[int, Ranking]
Truth = Mapping[int, Judgements]


def load_judged(path: Path, limit: int | None = None) -> list[JudgedQuery]:
    """Read the first `limit` queries of a file to measure on; None for all.

    Raises as `load_queries`, and InvalidInput where there is none or one of them is not judged.
    """
    queries = load_queries(path)[:limit]
    if not queries:
        raise InvalidInput(f"{path} holds no query; name a file of judged ones.")
    truths(queries)
    return queries


def truths(queries: Iterable[JudgedQuery]) -> dict[int, Judgements]:
    """Return the judgements of every query by its id."""
    return {query.query_id: Judgements.of(query) for query in queries}


@dataclass(frozen=True, slots=True)
class Right:
    """When a predicted moment is right: it overlaps a true one of at least `grade` by an IoU of `iou`.

    depth: moments a query that are judged, those that people look at.
    """

    grade: float = 2.0
    iou: float = 0.5
    depth: int = 10

    def moments(self, ranking: Ranking, judged: Judgements) -> Bools:
        """Return for each predicted moment whether it is right, (n,)."""
        rows = self._good(judged)
        if not len(rows) or not len(ranking):
            return np.zeros(len(ranking), bool)
        same = ranking.videos[:, None] == judged.videos[rows][None, :]
        return np.asarray((same & (iou(ranking.spans, judged.spans[rows]) >= self.iou)).any(axis=1))

    def answerable(self, judged: Judgements) -> bool:
        """Return whether any moment is right for this query."""
        return bool(len(self._good(judged)))

    def _good(self, judged: Judgements) -> NDArray[np.int64]:
        return np.flatnonzero(judged.relevances >= self.grade)


RIGHT = Right()
