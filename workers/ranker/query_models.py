"""The models that make vectors of a query's words: encoder and projector, as a version names them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch

from engine import versions
from engine.entries import EncoderEntry, Version
from engine.errors import Mismatch
from engine.types import EncodedQuery
from workers.ranker.encoder.encoder import Encoder, TextFeatures
from workers.ranker.encoder.files import explain
from workers.ranker.encoder.known_queries import KnownQueries, is_known_queries
from workers.ranker.projection.projector import ClipPool, MeanPool, Projector, load_projector
from workers.ranker.stores import checkpoint
from workers.ranker.stores.features import CLIPS, FRAMES


@dataclass(frozen=True, slots=True)
class NoEncoder:
    """Stands for an encoder of a version where another process encodes. dim: of the version's rows of it."""

    fingerprint: str
    dim: int
    token_width: int = 0

    @staticmethod
    def of(version: Version, entry: EncoderEntry) -> "NoEncoder":
        """Return that of the version's encoder, or of its clip encoder."""
        stream = CLIPS if entry == version.clip_encoder else FRAMES
        return NoEncoder(entry.fingerprint, version.streams[stream].dim)

    def text(self, texts: Sequence[str]) -> TextFeatures:
        """Refuse (Mismatch): nothing is encoded here."""
        raise Mismatch("this ranker worker encodes nothing; ask one that the topology has as [[encoder]]")


AnyEncoder: TypeAlias = Encoder | KnownQueries | NoEncoder


@dataclass(frozen=True, eq=False)
class QueryModels:
    """Encoder and projector; versions with the same ones share them.

    clips: whose texts the index is searched with, None where they are the encoder's.
    """

    encoder: AnyEncoder
    projector: Projector | MeanPool
    embedding_model: str
    device: torch.device
    clips: Encoder | NoEncoder | None = None

    @property
    def example(self) -> str:
        """A sentence that the encoder takes."""
        return self.encoder.example if isinstance(self.encoder, KnownQueries) else "a first sentence"

    @property
    def shown(self) -> int:
        """Width of what a picture becomes: of its frame, and of its clip behind that."""
        return self.encoder.dim + (self.clips.dim if self.clips is not None else 0)

    def encode(self, texts: Sequence[str]) -> list[EncodedQuery]:
        """Return every text as the index and the ranker need it."""
        features = self.encoder.text(texts)
        sought = features if self.clips is None else self.clips.text(texts)
        cuts = [one or other for one, other in zip(features.cut, sought.cut, strict=True)]
        with torch.inference_mode():
            pooled = torch.from_numpy(sought.pooled).to(self.device)
            projected = self.projector.queries(pooled).float().cpu().numpy()
        lengths = np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-12)
        rows = zip(projected / lengths, features.tokens, features.pooled, cuts, strict=True)
        model = self.embedding_model
        return [EncodedQuery(embedding, tokens, text, model, cut) for embedding, tokens, text, cut in rows]


def open_encoder(
    collection: Path, version: Version, entry: EncoderEntry, device: torch.device
) -> Encoder | KnownQueries:
    """Load an encoder of a version, or the sentences it encoded; Mismatch unless it is the very one."""
    local = versions.model_path(collection, entry)
    encoder: Encoder | KnownQueries
    if is_known_queries(local):
        encoder = KnownQueries(local)
    else:
        source, clips = str(local) if local.is_dir() else entry.source, entry == version.clip_encoder
        encoder = Encoder.load(source, str(device), clips=clips)
    wanted = entry.fingerprint
    why = explain(local, wanted) if encoder.fingerprint != wanted and local.is_dir() else ""
    agree(f"encoder in {local}" if local.is_dir() else "encoder", encoder.fingerprint, wanted, version, why)
    return encoder


def open_projector(
    collection: Path, version: Version, encoder: str, device: torch.device
) -> Projector | MeanPool:
    """Load the projector of a version; encoder: the fingerprint of what it is to project."""
    frames_a_segment = round(version.segment_length / version.streams[FRAMES].step)
    clips = version.clip_encoder.fingerprint if version.clip_encoder is not None else ""
    projector: Projector | MeanPool = (ClipPool if clips else MeanPool)(frames_a_segment)
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
    space = versions.embedding_model(encoder, found, clips)
    agree("embedding model", space, version.embedding_model, version)
    return projector


def agree(what: str, found: str, wanted: str, version: Version, why: str = "") -> None:
    """Refuse (Mismatch) a model that is not the one that a version was built with."""
    if found != wanted:
        remedy = "ingest and build again" if why else "put the old model back or run `spr build` again"
        raise Mismatch(
            f"The {what} has fingerprint {found}, version {version.id} was built with {wanted}{why}; "
            f"{remedy}."
        )
