"""What a ranker worker computes with: the models and features that one generation's manifest names."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine import manifest
from engine.errors import Mismatch
from engine.manifest import Manifest
from engine.types import Doubles, EncodedQuery, Floats, Ordinals
from workers.ranker import checkpoint
from workers.ranker.context import DIRECTORY, FRAMES, SUBTITLES, ContextStore
from workers.ranker.decode import RankedColumns
from workers.ranker.encoder import Encoder, pick_device
from workers.ranker.projector import MeanPool, Projector, load_projector
from workers.ranker.relo_ranker import ReloRanker
from workers.ranker.similarity_curve import SimilarityCurve


@dataclass(frozen=True, slots=True)
class Models:
    """Encoder, projector, ranker and features of one generation, checked against its manifest."""

    encoder: Encoder
    projector: Projector | MeanPool
    ranker: ReloRanker | SimilarityCurve
    contexts: ContextStore
    manifest: Manifest
    device: torch.device

    @staticmethod
    def open(generation: Path, device: str = "auto") -> "Models":
        """Load what the manifest names; Mismatch says what differs from it, NotFound what is missing."""
        about = manifest.read(generation)
        manifest.verify(generation, about, about.files_of(DIRECTORY))
        where = pick_device(device)
        encoder = _open_encoder(generation, about, str(where))
        models = Models(
            encoder=encoder,
            projector=_open_projector(generation, about, encoder, where),
            ranker=_open_ranker(generation, about, where),
            contexts=ContextStore.open(generation),
            manifest=about,
            device=where,
        )
        _fit(models, generation)
        return models

    def encode(self, texts: Sequence[str]) -> list[EncodedQuery]:
        """Return every text as the index and the ranker need it."""
        features = self.encoder.text(texts)
        with torch.inference_mode():
            pooled = torch.from_numpy(features.pooled).to(self.device)
            projected = self.projector.queries(pooled).float().cpu().numpy()
        lengths = np.maximum(np.linalg.norm(projected, axis=1, keepdims=True), 1e-12)
        rows = zip(projected / lengths, features.tokens, features.pooled, strict=True)
        model = self.manifest.embedding_model
        return [EncodedQuery(embedding, tokens, text, model) for embedding, tokens, text in rows]

    def rank(
        self, tokens: Floats, text_embedding: Floats, videos: Ordinals, spans: Doubles, scores: Floats
    ) -> RankedColumns:
        """Return one row a proposal, in their order. Not for several threads at once."""
        if isinstance(self.ranker, ReloRanker):
            return self.ranker.rank(tokens, self.contexts, videos, spans, scores)
        return self.ranker.rank(text_embedding, self.contexts, videos, spans, scores)


def use_threads(count: int) -> None:
    """Let torch use `count` CPU threads, 0 for one a core."""
    torch.set_num_threads(count or os.cpu_count() or 1)


def _open_encoder(generation: Path, about: Manifest, device: str) -> Encoder:
    local = manifest.model_path(generation, about.encoder)
    encoder = Encoder.load(str(local) if local.is_dir() else about.encoder.source, device)
    _agree("encoder", encoder.fingerprint, about.encoder.fingerprint, generation)
    return encoder


def _open_projector(
    generation: Path, about: Manifest, encoder: Encoder, device: torch.device
) -> Projector | MeanPool:
    frames_a_segment = round(about.segment_length / about.streams[FRAMES].step)
    projector: Projector | MeanPool = MeanPool(frames_a_segment)
    found = ""
    if about.projector is not None:
        directory = manifest.model_path(generation, about.projector)
        projector = load_projector(directory, device)
        found = checkpoint.read_card(directory).fingerprint
        _agree("projector", found, about.projector.fingerprint, generation)
    if projector.segment_length != frames_a_segment:
        raise Mismatch(
            f"The projector reads {projector.segment_length} frames a segment, generation {generation.name} "
            f"has {frames_a_segment}; run `spr build` again."
        )
    made = manifest.embedding_model(encoder.fingerprint, found)
    _agree("embedding model", made, about.embedding_model, generation)
    return projector


def _open_ranker(generation: Path, about: Manifest, device: torch.device) -> ReloRanker | SimilarityCurve:
    if about.ranker is None:
        return SimilarityCurve()
    ranker = ReloRanker.open(manifest.model_path(generation, about.ranker), device)
    _agree("ranker", ranker.name.removeprefix("relo@"), about.ranker.fingerprint, generation)
    return ranker


def _fit(models: Models, generation: Path) -> None:
    """Refuse features that are not as wide as the models that read them."""
    frames, subtitles = (models.contexts.streams[name].dim for name in (FRAMES, SUBTITLES))
    found = {"frame features": frames}
    wanted = {"frame features": models.encoder.dim}
    if isinstance(models.ranker, ReloRanker):
        config = models.ranker.model.config
        found |= {"subtitle features": subtitles, "token states": models.encoder.token_width}
        wanted = {
            "frame features": config.visual_dim,
            "subtitle features": config.subtitle_dim,
            "token states": config.query_dim,
        }
    for name, width in wanted.items():
        if found[name] != width:
            raise Mismatch(
                f"The {name} of generation {generation.name} are {found[name]} wide, {models.ranker.name} "
                f"reads {width}; train a ranker on this collection, or build without one."
            )


def _agree(what: str, found: str, wanted: str, generation: Path) -> None:
    if found != wanted:
        raise Mismatch(
            f"The {what} has fingerprint {found}, generation {generation.name} was built with {wanted}; "
            "put the old model back or run `spr build` again."
        )
