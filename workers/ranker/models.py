"""The models and features of a ranker worker, as one generation's manifest names them."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine import manifest
from engine.errors import Mismatch
from engine.manifest import Manifest
from engine.types import EncodedQuery
from workers.ranker.encoder.encoder import Encoder, pick_device
from workers.ranker.encoder.files import explain
from workers.ranker.encoder.known_queries import KnownQueries, is_known_queries
from workers.ranker.projection.projector import MeanPool, Projector, load_projector
from workers.ranker.scoring.ranker import Ranker
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.scoring.similarity_curve import SimilarityCurve
from workers.ranker.stores import checkpoint, contexts
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import DIRECTORY, FRAMES, FeatureMaps
from workers.watch import Watch

log = logging.getLogger("spr.ranker")


@dataclass(frozen=True, slots=True)
class Models:
    """Encoder, projector, ranker and features of one generation, checked against its manifest."""

    encoder: Encoder | KnownQueries
    projector: Projector | MeanPool
    ranker: Ranker
    features: FeatureMaps
    manifest: Manifest
    device: torch.device
    watch: Watch

    @staticmethod
    def open(generation: Path, device: str = "auto") -> "Models":
        """Load what the manifest names; Mismatch says what differs from it, NotFound what is missing."""
        about = manifest.read(generation)
        read = about.files_of(DIRECTORY) + about.files_of(contexts.DIRECTORY)
        watch = Watch(generation, about, read)
        manifest.verify(generation, about, read)
        where = pick_device(device)
        encoder = _open_encoder(generation, about, str(where))
        projector = _open_projector(generation, about, encoder, where)
        features = FeatureMaps.open(generation)
        ranker = _open_ranker(generation, about, encoder, features, where)
        return Models(encoder, projector, ranker, features, about, where, watch)

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
        model = self.manifest.embedding_model
        return [EncodedQuery(embedding, tokens, text, model, cut) for embedding, tokens, text, cut in rows]


def use_threads(count: int) -> None:
    """Let torch use `count` CPU threads, 0 for one a core."""
    torch.set_num_threads(count or os.cpu_count() or 1)


def _open_encoder(generation: Path, about: Manifest, device: str) -> Encoder | KnownQueries:
    local = manifest.model_path(generation, about.encoder)
    encoder: Encoder | KnownQueries
    if is_known_queries(local):
        encoder = KnownQueries(local)
    else:
        encoder = Encoder.load(str(local) if local.is_dir() else about.encoder.source, device)
    wanted = about.encoder.fingerprint
    why = explain(local, wanted) if encoder.fingerprint != wanted and local.is_dir() else ""
    _agree("encoder", encoder.fingerprint, wanted, generation, why)
    return encoder


def _open_projector(
    generation: Path, about: Manifest, encoder: Encoder | KnownQueries, device: torch.device
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


def _open_ranker(
    generation: Path,
    about: Manifest,
    encoder: Encoder | KnownQueries,
    features: FeatureMaps,
    device: torch.device,
) -> Ranker:
    if about.ranker is None:
        curve = SimilarityCurve()
        _fit(curve, encoder, features, generation)
        return curve
    ranker = ReloRanker.open(manifest.model_path(generation, about.ranker), device)
    _agree("ranker", ranker.fingerprint, about.ranker.fingerprint, generation)
    _fit(ranker, encoder, features, generation)
    _use_stored(ranker, about, features, generation)
    return ranker


def _fit(ranker: Ranker, encoder: Encoder | KnownQueries, features: FeatureMaps, generation: Path) -> None:
    """Refuse features that the ranker lacks, or that are not as wide as it reads them."""
    if ranker.token_width not in (0, encoder.token_width):
        raise Mismatch(
            f"The encoder's token states are {encoder.token_width} wide, {ranker.name} reads "
            f"{ranker.token_width}; train a ranker on this collection, or build without one."
        )
    for name, width in (ranker.streams or {FRAMES: encoder.dim}).items():
        stream = features.streams.get(name)
        if stream is None or stream.dim != width:
            found = "absent" if stream is None else f"{stream.dim} wide"
            raise Mismatch(
                f"The {name} of generation {generation.name} are {found}, {ranker.name} reads "
                f"{width}; train a ranker on this collection, or build without one."
            )


def _use_stored(ranker: ReloRanker, about: Manifest, features: FeatureMaps, generation: Path) -> None:
    """Let the ranker read stored contexts, if this very ranker encoded them; else it encodes windows."""
    name = generation.name
    if not about.files_of(contexts.DIRECTORY):
        log.info("no stored contexts: windows are encoded for every query", extra={"generation": name})
        return
    store = EncodedStore.open(generation)
    if store.ranker != ranker.fingerprint:
        found = {"generation": name, "stored_by": store.ranker, "ranker": ranker.fingerprint}
        log.warning("stored contexts are another ranker's: windows are encoded for every query", extra=found)
        return
    ranker.use_stored(store, features, torch.get_num_threads())


def _agree(what: str, found: str, wanted: str, generation: Path, why: str = "") -> None:
    if found != wanted:
        remedy = "ingest and build again" if why else "put the old model back or run `spr build` again"
        raise Mismatch(
            f"The {what} has fingerprint {found}, generation {generation.name} was built with {wanted}{why}; "
            f"{remedy}."
        )
