"""What all parts of a version are made with: features, models, trained index."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch

from engine import parts, versions
from engine.entries import EncoderEntry, ModelEntry, Version, refuse
from engine.errors import Mismatch
from engine.verification import verify
from trainer.collection.places import FRAMES, features_directory
from trainer.generation.models import load_ranker, load_stage1
from trainer.generation.texts_kit import TextsKit, open_texts
from workers.feature_store.store import FeatureStore
from workers.index.training import Template
from workers.ranker.encoder.encoder import pick_device
from workers.ranker.projection.projector import ClipPool, MeanPool, Projector, index_stream
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.stores.checkpoint import read_card
from workers.ranker.stores.rounding import ContextType

# What all that is said has in common; in every part that mean pooling made. See `MeanPool`.
SAID = "index/said.npy"

OnProgress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Kit:
    """What a part is made with, but its videos. factory: the index's name; template: trained, empty.

    projector: as it embeds, so that a mean pool has heard what there is to hear. contexts: how the ranker's
    are stored, None for not at all. texts: None where no texts are searched.
    """

    store: FeatureStore
    projector: Projector | MeanPool
    embedding_model: str
    factory: str
    template: Template
    ranker: ReloRanker | None
    contexts: ContextType | None
    device: torch.device
    texts: TextsKit | None = None

    def save(self, collection: Path) -> None:
        """Keep the trained indexes and the lexicon in the collection."""
        self.template.save(collection)
        if self.texts is not None:
            self.texts.save(collection)

    @property
    def dim(self) -> int:
        """Width of a segment vector."""
        return self.store.streams[index_stream(self.store.streams)].dim

    @property
    def segment_length(self) -> float:
        """Seconds."""
        return self.projector.segment_length * self.store.streams[FRAMES].step


def open_kit(collection: Path, version: Version, device: str = "auto") -> Kit:
    """Return what the parts of `version` were made with, to make another; Mismatch where that is gone."""
    store = FeatureStore.open(features_directory(collection, version.features))
    where = pick_device(device)
    for entry in (version.projector, version.ranker):
        _check_card(collection, version, entry)
    projector = as_built(load_stage1(collection, version.projector, store, where), collection, version)
    found = Kit(
        store=store,
        projector=projector.to(where),
        embedding_model=version.embedding_model,
        factory=version.factory,
        template=Template.read(collection, version.quantizer_sha256),
        ranker=load_ranker(collection, version.ranker, store) if version.contexts else None,
        contexts=cast("ContextType | None", version.contexts or None),
        device=where,
        texts=open_texts(collection, version.texts, device),
    )
    if found.segment_length != version.segment_length:
        message = f"{store.path} gives segments of {found.segment_length} s, version {version.id} has "
        raise Mismatch(f"{message}{version.segment_length} s: run `spr build`.")
    return found


def as_built(projector: Projector | MeanPool, collection: Path, version: Version) -> Projector | MeanPool:
    """Return the projector as it embedded the version's segments: a mean pool with what it had heard."""
    if not isinstance(projector, MeanPool) or isinstance(projector, ClipPool):
        return projector
    frames = round(version.segment_length / version.streams[FRAMES].step)
    return MeanPool(frames, said(collection, version))


def said(collection: Path, version: Version) -> torch.Tensor | None:
    """Return (dim,) the mean of what is said, by which the version's segments were pooled; None for none."""
    for entry in version.parts[:1]:
        path = parts.directory(collection, entry.id) / SAID
        about, _ = parts.read(collection, entry.id)
        if SAID not in about.files:
            return None
        verify(path.parents[1], about, [SAID])
        try:
            mean = np.load(path)
        except (OSError, ValueError):
            raise refuse(f"{path} cannot be read: {parts.REMEDY}.") from None
        if mean.shape != (version.dim,):
            raise refuse(f"{path} has shape {mean.shape}, not ({version.dim},): {parts.REMEDY}.")
        return torch.from_numpy(mean)
    return None


def _check_card(collection: Path, version: Version, entry: EncoderEntry | ModelEntry | None) -> None:
    """Refuse (Mismatch) a model that was replaced since the version was made."""
    if entry is None:
        return
    path = versions.model_path(collection, entry)
    found = read_card(path).fingerprint
    if found != entry.fingerprint:
        message = f"{path} has fingerprint {found}, version {version.id} was made with {entry.fingerprint}: "
        raise Mismatch(message + "put that model back, or run `spr build`.")
