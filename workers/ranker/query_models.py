"""The models that make vectors of a query's words: encoder and projector, as a version names them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from engine import versions
from engine.entries import Version
from engine.errors import Mismatch
from engine.types import EncodedQuery
from workers.ranker.encoder.encoder import Encoder, TextFeatures
from workers.ranker.encoder.files import explain
from workers.ranker.encoder.known_queries import KnownQueries, is_known_queries
from workers.ranker.projection.projector import MeanPool, Projector, load_projector
from workers.ranker.stores import checkpoint
from workers.ranker.stores.features import FRAMES


@dataclass(frozen=True, slots=True)
class NoEncoder:
    """Stands for a version's encoder where another process encodes. dim: of the version's frames."""

    fingerprint: str
    dim: int
    token_width: int = 0

    @staticmethod
    def of(version: Version) -> "NoEncoder":
        """Return that of a version."""
        return NoEncoder(version.encoder.fingerprint, version.streams[FRAMES].dim)

    def text(self, texts: Sequence[str]) -> TextFeatures:
        """Refuse (Mismatch): nothing is encoded here."""
        raise Mismatch("this ranker worker encodes nothing; ask one that the topology has as [[encoder]]")


AnyEncoder: TypeAlias = Encoder | KnownQueries | NoEncoder


@dataclass(frozen=True, eq=False)
class QueryModels:
    """Encoder and projector; versions with the same ones share them."""

    encoder: AnyEncoder
    projector: Projector | MeanPool
    embedding_model: str
    device: torch.device

    @property
    def example(self) -> str:
        """A sentence that the encoder takes."""
        return self.encoder.example if isinstance(self.encoder, KnownQueries) else "a first sentence"

    def encode(self, texts: Sequence[str]) -> list[EncodedQuery]:
        """Return every text as the index and the ranker need it."""
        features = self.encoder.text(texts)
        with torch.inference_mode():
            pooled = torch.from_numpy(features.pooled).to(self.device)
            projected = self.projector.queries(pooled).float().cpu().numpy()
        lengths = np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-12)
        rows = zip(projected / lengths, features.tokens, features.pooled, features.cut, strict=True)
        model = self.embedding_model
        return [EncodedQuery(embedding, tokens, text, model, cut) for embedding, tokens, text, cut in rows]


def open_encoder(collection: Path, version: Version, device: torch.device) -> Encoder | KnownQueries:
    """Load the encoder of a version, or the sentences it encoded; Mismatch unless it is the very one."""
    local = versions.model_path(collection, version.encoder)
    encoder: Encoder | KnownQueries
    if is_known_queries(local):
        encoder = KnownQueries(local)
    else:
        encoder = Encoder.load(str(local) if local.is_dir() else version.encoder.source, str(device))
    wanted = version.encoder.fingerprint
    why = explain(local, wanted) if encoder.fingerprint != wanted and local.is_dir() else ""
    agree(f"encoder in {local}" if local.is_dir() else "encoder", encoder.fingerprint, wanted, version, why)
    return encoder


def open_projector(
    collection: Path, version: Version, encoder: str, device: torch.device
) -> Projector | MeanPool:
    """Load the projector of a version; encoder: the fingerprint of what it is to project."""
    frames_a_segment = round(version.segment_length / version.streams[FRAMES].step)
    projector: Projector | MeanPool = MeanPool(frames_a_segment)
    found = ""
    if version.projector is not None:
        directory = versions.model_path(collection, version.projector)
        projector = load_projector(directory, device)
        found = checkpoint.read_card(directory).fingerprint
        agree("projector", found, version.projector.fingerprint, version)
    if projector.segment_length != frames_a_segment:
        raise Mismatch(
            f"The projector reads {projector.segment_length} frames a segment, version {version.id} "
            f"has {frames_a_segment}; run `spr build` again."
        )
    agree("embedding model", versions.embedding_model(encoder, found), version.embedding_model, version)
    return projector


def agree(what: str, found: str, wanted: str, version: Version, why: str = "") -> None:
    """Refuse (Mismatch) a model that is not the one that a version was built with."""
    if found != wanted:
        remedy = "ingest and build again" if why else "put the old model back or run `spr build` again"
        raise Mismatch(
            f"The {what} has fingerprint {found}, version {version.id} was built with {wanted}{why}; "
            f"{remedy}."
        )
