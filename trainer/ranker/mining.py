"""Mined proposals: what stage 1, run offline, retrieves for training pairs and queries.

Training windows follow the distribution of serving: proposals come from the same retrieval and rule. A
proposal trains the moment of its video that its window shows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.types import Doubles, Ordinals


@dataclass(frozen=True, slots=True)
class Mined:
    """Proposals by owner, a training pair or a query: owner i may use rows offsets[i]:offsets[i + 1].

    videos: (m,) ordinals. spans: (m, 2) seconds.
    """

    offsets: NDArray[np.int64]
    videos: Ordinals
    spans: Doubles

    @staticmethod
    def of(parts: Sequence[tuple[Ordinals, Doubles]]) -> "Mined":
        """Return the proposals of owners 0, 1, ..."""
        counts = np.array([len(spans) for _, spans in parts], np.int64)
        videos = [np.zeros(0, np.int32), *(videos for videos, _ in parts)]
        spans = [np.zeros((0, 2)), *(spans for _, spans in parts)]
        return Mined(np.concatenate([[0], np.cumsum(counts)]), np.concatenate(videos), np.concatenate(spans))

    @property
    def owners(self) -> NDArray[np.int64]:
        """The owner of every row, (m,)."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def take(self, rows: NDArray[np.bool_]) -> "Mined":
        """Return some of the rows, with the same owners."""
        counts = np.bincount(self.owners[rows], minlength=len(self.offsets) - 1)
        return Mined(np.concatenate([[0], np.cumsum(counts)]), self.videos[rows], self.spans[rows])

    def draw(
        self, owners: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Ordinals, Doubles, NDArray[np.bool_]]:
        """Return a random proposal of each owner: videos (n,), spans (n, 2), and where there was one (n,)."""
        counts = self.offsets[owners + 1] - self.offsets[owners]
        chosen = self.offsets[owners] + (rng.random(len(owners)) * counts).astype(np.int64)
        if not len(self.spans):
            return np.zeros(len(owners), np.int32), np.zeros((len(owners), 2)), counts > 0
        chosen = np.minimum(chosen, len(self.spans) - 1)
        return self.videos[chosen], self.spans[chosen], counts > 0


def around(moments: Doubles, durations: Doubles, length: float, rng: np.random.Generator) -> Doubles:
    """Return proposals made from the moments themselves, for pairs that retrieval missed.

    Rounded outward to whole segments and widened by 0 or 1 segment on each side at random, inside the video.
    """
    wider = rng.integers(0, 2, moments.shape)
    begins = (np.floor(moments[:, 0] / length) - wider[:, 0]) * length
    ends = (np.ceil(moments[:, 1] / length) + wider[:, 1]) * length
    return np.stack([np.maximum(begins, 0.0), np.minimum(ends, durations)], axis=1)
