"""What stage 1 proposes for the queries of a training, all of them or a share."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.proposals import ProposalRule
from engine.types import Proposals
from trainer.collection.encoders import clip_encoder_of, clip_encoder_source, encoder_of, encoder_source
from trainer.collection.places import features_directory
from trainer.collection.projectors import open_projector
from trainer.collection.queries import QueryFeatures, encode_queries
from trainer.collection.retrieval import Retrieval
from trainer.collection.segments import VideoRows
from workers.feature_store.store import FeatureStore
from workers.ranker.projection.projector import ClipPool, MeanPool, Projector
from workers.ranker.stores.features import CLIPS, FeatureMaps


@dataclass(frozen=True, slots=True)
class Sought:
    """Sentences, and the videos that are searched. encoder, projector: as `prepare` has them.

    depth, depth_share, rule: as RankerSettings has them for training.
    """

    collection: Path
    encoder: str | None
    projector: str | None
    videos: Sequence[str]
    texts: Sequence[str]
    depth: int
    depth_share: float
    rule: str


class Proposer:
    """Segments of videos and projected sentences, in memory."""

    def __init__(
        self,
        sought: Sought,
        contexts: FeatureMaps,
        features: QueryFeatures,
        stage1: Projector | MeanPool,
        device: torch.device,
    ) -> None:
        """Embed the videos and project all sentences, so that each has its bits whoever asks for it."""
        self._retrieval = Retrieval.embed(VideoRows.of_contexts(contexts), stage1, device)
        self._depth = self._retrieval.depth(sought.depth, sought.depth_share)
        self._rule = ProposalRule.parse(sought.rule)
        with torch.inference_mode():
            pooled = torch.from_numpy(features.pooled(list(sought.texts))).to(device)
            self._queries = stage1.queries(pooled)

    @staticmethod
    def open(sought: Sought, device: torch.device) -> "Proposer":
        """Read what is needed from the collection, where the sentences' features are stored by now."""
        store = FeatureStore.open(features_directory(sought.collection, sought.encoder))
        texts = list(sought.texts)
        fingerprint = encoder_of(store)
        features = encode_queries(sought.collection, fingerprint, encoder_source(store), texts, str(device))
        features, stage1 = stage1_of(sought.collection, store, sought.projector, features, texts, device)
        contexts = FeatureMaps.from_feature_store(store, list(sought.videos))
        return Proposer(sought, contexts, features, stage1, device)

    def proposals(self, rows: slice = slice(None)) -> Iterator[Proposals]:
        """Yield the proposals of some sentences.

        They are the same to the bit in shares that begin at multiples of QUERIES_AT_ONCE.
        """
        yield from self._retrieval.proposals(self._queries[rows], self._depth, self._rule)


def stage1_of(
    collection: Path,
    store: FeatureStore,
    projector: str | None,
    features: QueryFeatures,
    texts: Sequence[str],
    device: torch.device,
) -> tuple[QueryFeatures, Projector | MeanPool]:
    """Return what retrieves, and the queries for it: clips are found by texts of their own encoder."""
    if CLIPS not in store.streams:
        return features, open_projector(collection, projector, encoder_of(store))
    source = clip_encoder_source(store)
    found = encode_queries(collection, clip_encoder_of(store), source, texts, str(device), clips=True)
    return features.sought_by(found), ClipPool()
