"""What an export writes, and what its caller chose."""

from dataclasses import dataclass
from pathlib import Path

import torch

from engine.proposals import ProposalRule
from trainer.collection.annotations import JudgedQuery
from trainer.collection.queries import QueryFeatures
from trainer.formats.layout import Layout
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import MeanPool, Projector


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller chose. min_similarity: of training moments. depth: segments retrieved for proposals."""

    min_similarity: float
    depth: int
    rule: ProposalRule


@dataclass(frozen=True)
class Outgoing:
    """What is written. durations: of all videos with frames, by name. streams: of the files of clips.

    given_segments: whether the collection's own segment features go out, and not the projector's.
    cut: whether training moments were left out, so that what was kept beside them does not fit.
    """

    collection: Path
    layout: Layout
    store: FeatureStore
    durations: dict[str, float]
    queries: dict[str, list[JudgedQuery]]
    corpora: dict[str, dict[str, float]]
    features: QueryFeatures
    projector: Projector | MeanPool
    device: torch.device
    streams: tuple[str, str]
    given_segments: bool
    asked: Asked
    cut: bool

    @property
    def token_width(self) -> int:
        """The width of a query's token states."""
        text = next(query.query for rows in self.queries.values() for query in rows)
        return int(self.features.tokens(text).shape[1])

    def keeps(self, file: Path) -> bool:
        """Whether a file that was kept beside judged queries still fits them."""
        return not (self.cut and file.name.startswith("train_"))
