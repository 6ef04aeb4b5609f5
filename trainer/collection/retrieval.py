"""Exact retrieval over the segments of a split: what stage 1 proposes offline."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from engine.proposals import ProposalRule, propose
from engine.types import Doubles, Hits, Ordinals, Proposals
from trainer.collection.places import FRAMES
from trainer.collection.segments import VideoRows, embed
from workers.ranker.projection.projector import MeanPool, Projector, index_stream

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
    def embed(rows: VideoRows, projector: Projector | MeanPool, device: torch.device) -> "Retrieval":
        """Embed the segments of every video, as a build does; Mismatch where a vector is not finite."""
        (width, _), (_, step) = rows.streams[index_stream(projector.streams)], rows.streams[FRAMES]
        counts = rows.segment_counts(projector.segment_length)
        blocks = [np.zeros((0, width), np.float32), *embed(rows, projector, device)]
        return Retrieval(
            vectors=torch.from_numpy(np.concatenate(blocks)).to(device),
            videos=np.repeat(np.arange(len(rows), dtype=np.int32), counts),
            numbers=np.concatenate([np.arange(count, dtype=np.int32) for count in [*counts, 0]]),
            durations=rows.durations,
            length=projector.segment_length * step,
        )

    def depth(self, most: int, share: float) -> int:
        """Return how many segments to retrieve: `most`, but no more than a share of all, and at least one.

        In a small split the best 200 segments are nearly all of them, and neighbours join to whole videos.
        """
        return max(1, min(most, int(share * len(self.vectors))))

    def proposals(self, queries: torch.Tensor, depth: int, rule: ProposalRule) -> Iterator[Proposals]:
        """Yield the proposals of every projected query (n, dim), from its `depth` best segments."""
        for hits in self.hits(queries, depth):
            yield propose(hits, self.durations, self.length, rule)

    @torch.inference_mode()
    def hits(self, queries: torch.Tensor, depth: int) -> Iterator[Hits]:
        """Yield the `depth` best segments of every projected query (n, dim)."""
        for part in torch.split(F.normalize(queries, dim=-1), QUERIES_AT_ONCE):
            scores, found = (part @ self.vectors.T).topk(min(depth, len(self.vectors)), dim=1)
            for row_scores, row in zip(scores.cpu().numpy(), found.cpu().numpy(), strict=True):
                yield Hits(self.videos[row], self.numbers[row], row_scores)


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
