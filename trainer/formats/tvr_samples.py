"""What the published stage 3 starts from: coarse predictions, and proposals for its training moments.

How the published files were made is not published. Here both are what the collection's own retrieval gives:

    coarse predictions    the proposals of every query, best first
    positives             of a training moment: proposals of its video that overlap it when `context` seconds
                          are added on both sides
    negatives             the best proposals of a query that are a positive of none of its moments
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from engine.proposals import ProposalRule
from engine.types import Proposals
from trainer.collection.annotations import JudgedQuery
from trainer.collection.queries import QueryFeatures
from trainer.collection.retrieval import Retrieval, seen_moments
from trainer.collection.segments import VideoRows
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import MeanPool, Projector

NEGATIVES = 20
DEPTH = 200
RULE = ProposalRule()


@dataclass(frozen=True, slots=True)
class Searched:
    """A corpus to search: names of the videos by ordinal, and their segments."""

    videos: list[str]
    retrieval: Retrieval

    @staticmethod
    def of(
        store: FeatureStore,
        videos: Sequence[str],
        durations: dict[str, float],
        projector: Projector | MeanPool,
        device: torch.device,
    ) -> "Searched":
        """Embed the segments of `videos`, which all have frames."""
        names = sorted(videos)
        lasting = np.array([durations[name] for name in names], np.float64)
        rows = replace(VideoRows.of_store(store, names), durations=lasting)
        return Searched(names, Retrieval.embed(rows, projector, device))

    def proposals(
        self,
        queries: Sequence[JudgedQuery],
        features: QueryFeatures,
        projector: Projector | MeanPool,
        device: torch.device,
        depth: int = DEPTH,
        rule: ProposalRule = RULE,
    ) -> Iterator[tuple[JudgedQuery, Proposals]]:
        """Yield the coarse proposals of every query, from its `depth` best segments."""
        pooled = torch.from_numpy(features.pooled([query.query for query in queries])).to(device)
        with torch.inference_mode():
            projected = projector.queries(pooled)
        yield from zip(queries, self.retrieval.proposals(projected, depth, rule), strict=True)

    def entries(self, proposals: Proposals) -> list[dict[str, Any]]:
        """Return proposals in the published form."""
        rows = zip(proposals.videos, proposals.spans.tolist(), proposals.ranks.tolist(), strict=True)
        return [
            {"timestamp": span, "video_name": self.videos[video], "moment_rank": rank}
            for video, span, rank in rows
        ]

    def samples(
        self, query: JudgedQuery, uncut: JudgedQuery, proposals: Proposals, context: float
    ) -> tuple[dict[str, list[dict[str, Any]]], list[dict[str, Any]]]:
        """Return (positives by pair id, negatives) of one training query.

        uncut: the query with the moments too that were left out, which make no negative.
        """
        ordinals = {name: ordinal for ordinal, name in enumerate(self.videos)}
        moments = [moment for moment in uncut.moments if moment.video in ordinals]
        videos = np.array([ordinals[moment.video] for moment in moments], np.int32)
        spans = np.array([(moment.start, moment.end) for moment in moments], np.float64).reshape(-1, 2)
        shown = seen_moments(proposals, videos, spans, context, 0.0)
        entries = [
            {key: entry[key] for key in ("video_name", "timestamp")} for entry in self.entries(proposals)
        ]
        positives = {
            str(moment.pair_id): [entries[column] for column in np.flatnonzero(row)]
            for moment, row in zip(moments, shown, strict=True)
            if row.any() and moment in query.moments
        }
        return positives, [entries[column] for column in np.flatnonzero(~shown.any(axis=0))[:NEGATIVES]]
