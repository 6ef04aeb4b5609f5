"""Lists of proposals with grades: what a listwise loss orders.

A proposal is worth to a query what the moments are that its window shows: 2^(4 similarity) - 1 for pseudo
positives, whose similarity takes the place of a grade, times the shown share of the moment.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.types import Doubles, Floats, Ordinals
from trainer.ranker.mining import Mined
from workers.ranker.model.windows import Windows

Integers = NDArray[np.int64]
HIGHEST_GRADE = 4
# A window that shows less of a moment than this is not worth anything for it.
LEAST_SHOWN = 0.5


@dataclass(frozen=True, slots=True)
class Graded:
    """Moments by query: query i's are rows offsets[i]:offsets[i + 1].

    videos: (m,) ordinals. moments: (m, 2) seconds. gains: (m,) what finding one is worth.
    """

    offsets: Integers
    videos: Ordinals
    moments: Doubles
    gains: Floats

    @staticmethod
    def of(query: Integers, videos: Ordinals, moments: Doubles, similarity: Floats, queries: int) -> "Graded":
        """Return pairs (n,) of queries and moments, by query; `queries` is how many there are."""
        order = np.argsort(query, kind="stable")
        offsets = np.searchsorted(query[order], np.arange(queries + 1))
        gains = np.exp2(HIGHEST_GRADE * np.clip(similarity[order], 0.0, 1.0)) - 1
        return Graded(offsets, videos[order], moments[order], gains.astype(np.float32))

    def worth(self, queries: Integers, windows: Windows) -> Floats:
        """Return what every window is worth to every query, (queries, windows)."""
        begins, ends = windows.origins, windows.origins + windows.lengths * windows.steps
        worth = np.zeros((len(queries), len(windows)), np.float32)
        for row, query in enumerate(queries):
            own = slice(self.offsets[query], self.offsets[query + 1])
            moments, same = self.moments[own], self.videos[own, None] == windows.videos[None]
            shown = np.minimum(moments[:, 1:], ends) - np.maximum(moments[:, :1], begins)
            share = np.where(same, shown / np.maximum(moments[:, 1:] - moments[:, :1], 1e-6), 0.0)
            gains = np.where(share >= LEAST_SHOWN, share * self.gains[own, None], 0.0)
            worth[row] = gains.max(axis=0, initial=0.0)
        return worth


@dataclass(frozen=True, slots=True)
class Lists:
    """Further proposals to draw for each query of a batch. proposals: by query, all that retrieval found."""

    proposals: Mined
    graded: Graded
    size: int

    def draw(self, queries: Integers, rng: np.random.Generator) -> tuple[Ordinals, Doubles]:
        """Return `size` random proposals of each query: videos (n * size,), spans (n * size, 2)."""
        videos, spans, there = self.proposals.draw(np.repeat(queries, self.size), rng)
        return videos[there], spans[there]


def joined(first: Mined, owners: Integers, second: Mined, count: int) -> Mined:
    """Return proposals of `count` owners: `second`'s, and `first`'s, whose owner i belongs to owners[i]."""
    belong = np.concatenate([owners[first.owners], second.owners])
    order = np.argsort(belong, kind="stable")
    offsets = np.searchsorted(belong[order], np.arange(count + 1))
    videos = np.concatenate([first.videos, second.videos])[order]
    return Mined(offsets, videos, np.concatenate([first.spans, second.spans])[order])


def window_parts(parts: Sequence[Windows]) -> Windows:
    """Return several sets of windows as one."""
    names = ("videos", "first", "last", "lengths", "origins", "steps")
    return Windows(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))
