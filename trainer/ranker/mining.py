"""Stage 1 run offline: what the trained retrieval proposes for training and validation queries.

Training windows must look like those of serving, so their proposals come from the same retrieval and the same
rule; a proposal trains the moment of its video that its window sees.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from engine.proposals import ProposalRule, propose
from engine.types import Doubles, Hits, Ordinals, Proposals
from workers.ranker.context import FRAMES, ContextStore
from workers.ranker.projector import MeanPool, Projector
from workers.ranker.segments import segment_inputs, video_rows

QUERIES_AT_ONCE = 256


@dataclass(frozen=True, slots=True)
class Retrieval:
    """All segments of a split, exactly searched.

    vectors: (segments, dim) unit length. videos, numbers: (segments,) int32 video ordinal and segment number.
    durations: (videos,) seconds. length: seconds a segment.
    """

    vectors: torch.Tensor
    videos: Ordinals
    numbers: Ordinals
    durations: Doubles
    length: float

    @staticmethod
    @torch.inference_mode()
    def embed(contexts: ContextStore, projector: Projector | MeanPool, device: torch.device) -> "Retrieval":
        """Embed the segments of every video, as a build does."""
        if isinstance(projector, MeanPool):
            projector = projector.hearing(contexts.speech()).to(device)
        vectors, videos, numbers = [], [], []
        for ordinal in range(len(contexts)):
            rows = video_rows(projector.streams, partial(contexts.video, ordinal))
            if not len(rows):
                continue
            inputs = segment_inputs(rows.astype(np.float32), projector.segment_length, projector.around)
            vectors.append(F.normalize(projector.segments(torch.from_numpy(inputs).to(device)), dim=-1))
            videos.append(np.full(len(inputs), ordinal, np.int32))
            numbers.append(np.arange(len(inputs), dtype=np.int32))
        step = contexts.step(FRAMES)
        columns = np.concatenate(videos), np.concatenate(numbers)
        return Retrieval(torch.cat(vectors), *columns, contexts.durations, projector.segment_length * step)

    def depth(self, most: int, share: float) -> int:
        """Return how many segments to retrieve: `most`, but no more than a share of all, and at least one.

        In a small split the best 200 segments are nearly all of them, and neighbours join to whole videos.
        """
        return max(1, min(most, int(share * len(self.vectors))))

    @torch.inference_mode()
    def proposals(self, queries: torch.Tensor, depth: int, rule: ProposalRule) -> Iterator[Proposals]:
        """Yield the proposals of every projected query (n, dim), from its `depth` best segments."""
        for part in torch.split(F.normalize(queries, dim=-1), QUERIES_AT_ONCE):
            scores, found = (part @ self.vectors.T).topk(min(depth, len(self.vectors)), dim=1)
            for row_scores, row in zip(scores.cpu().numpy(), found.cpu().numpy(), strict=True):
                hits = Hits(self.videos[row], self.numbers[row], row_scores)
                yield propose(hits, self.durations, self.length, rule)


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


def seen_moments(
    proposals: Proposals, videos: Ordinals, moments: Doubles, context: float, min_cover: float
) -> NDArray[np.bool_]:
    """Return (moments, proposals): whether the proposal, widened by `context` seconds, shows the moment.

    It must be of the same video, and overlap; at least the share `min_cover` of the moment.
    """
    begins = np.maximum(moments[:, None, 0], proposals.spans[None, :, 0] - context)
    ends = np.minimum(moments[:, None, 1], proposals.spans[None, :, 1] + context)
    shown = ends - begins
    enough = min_cover * (moments[:, 1] - moments[:, 0])[:, None]
    same = videos[:, None] == proposals.videos[None, :]
    return np.asarray(same & (shown > 0) & (shown >= enough))


def around(moments: Doubles, durations: Doubles, length: float, rng: np.random.Generator) -> Doubles:
    """Return proposals made from the moments themselves, for pairs that retrieval missed.

    Rounded outward to whole segments and widened by 0 or 1 segment on each side at random, inside the video.
    """
    wider = rng.integers(0, 2, moments.shape)
    begins = (np.floor(moments[:, 0] / length) - wider[:, 0]) * length
    ends = (np.ceil(moments[:, 1] / length) + wider[:, 1]) * length
    return np.stack([np.maximum(begins, 0.0), np.minimum(ends, durations)], axis=1)
