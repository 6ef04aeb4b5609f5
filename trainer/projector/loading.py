"""What a projector's training reads of a collection."""

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.errors import InvalidInput, NotFound
from trainer.collection.annotations import load_corpus, load_queries, nearest_moments
from trainer.collection.encoders import encoder_of, encoder_source
from trainer.collection.places import FRAMES, annotation_file, features_directory, known_videos
from trainer.collection.queries import encode_queries
from trainer.formats.segments import samples_of
from trainer.projector.data import (
    SegmentPairs,
    Segments,
    load_segments,
    pairs_from,
    truth_of,
)
from trainer.projector.recall import RelevantSegments
from trainer.projector.settings import ProjectorSettings
from workers.feature_store.store import FeatureStore
from workers.ranker.stores.features import CLIPS


@dataclass(frozen=True)
class ProjectorData:
    """What a training reads. Query features are (queries, dim) float32; `digest` names the data."""

    encoder: str
    dim: int
    train_queries: torch.Tensor
    train: Segments
    pairs: SegmentPairs
    val_queries: torch.Tensor
    val: Segments
    truth: RelevantSegments
    digest: str


def load_data(
    collection: Path, settings: ProjectorSettings, encoder: str | None, device: str
) -> ProjectorData:
    """Read features and annotations of train and val; one-sentence errors name what is missing."""
    files = {name: annotation_file(collection, name) for name in ("train", "val", "corpus_val")}
    queries = {name: load_queries(files[name]) for name in ("train", "val")}
    store = FeatureStore.open(features_directory(collection, encoder))
    if CLIPS in store.streams:
        raise InvalidInput(f"{store.path} is indexed by its clips, which no projector reads; train a ranker.")
    length = settings.model.segment_length
    train_judged = nearest_moments(queries["train"], settings.top_k)
    listed = [moment.video for query in train_judged for moment in query.moments]
    train = _segments(store, listed, settings, "train")
    val = _segments(store, list(load_corpus(files["corpus_val"])), settings, "val")
    positives = samples_of(collection, "train", train_judged, settings.top_k, length)
    pairs = pairs_from(positives, train, settings.threshold)
    if not len(pairs):
        raise InvalidInput(f"No training pair has a score of {settings.threshold} or more; lower threshold.")
    judged = samples_of(collection, "val", queries["val"], settings.top_k, length)
    truth = truth_of(pairs_from(judged, val), val, len(queries["val"]))
    features = encode_queries(
        collection,
        encoder_of(store),
        encoder_source(store),
        [q.query for name in queries for q in queries[name]],
        device,
    )
    texts = {name: torch.from_numpy(features.pooled([q.query for q in queries[name]])) for name in queries}
    _check_depths(settings, len(val))
    return ProjectorData(
        encoder=encoder_of(store),
        dim=texts["train"].shape[1],
        train_queries=texts["train"],
        train=train,
        pairs=pairs,
        val_queries=texts["val"],
        val=val,
        truth=truth,
        digest=_digest(files.values(), (train, val)),
    )


def _segments(store: FeatureStore, videos: list[str], settings: ProjectorSettings, split: str) -> Segments:
    """Read a split's videos; NotFound when none of them has features."""
    known = known_videos(store, videos)
    if not known:
        raise NotFound(f"None of the {split} videos has features in {store.path}; ingest them.")
    streams = settings.model_for(store.streams[FRAMES].dim).streams
    return load_segments(store, known, settings.model.segment_length, streams, settings.model.around)


def _check_depths(settings: ProjectorSettings, segments: int) -> None:
    """Warn of a K that the validation corpus does not fill; refuse to select by one."""
    depth = int(settings.select.rpartition("@")[2])
    if depth >= segments:
        raise InvalidInput(
            f"projector.select = {settings.select!r} cannot rank models on {segments} val segments; "
            "set recall_at and select to fewer."
        )
    if max(settings.recall_at) > segments:
        warnings.warn(f"recall@{max(settings.recall_at)} is of all {segments} val segments.", stacklevel=3)


def _digest(files: Iterable[Path], splits: Iterable[Segments]) -> str:
    """Return a name for the data: a resumed training must read the same."""
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    for segments in splits:
        digest.update(segments.frames.data)
    return digest.hexdigest()
