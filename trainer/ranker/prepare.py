"""From a collection on disk to what a ranker's training reads."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.errors import InvalidInput
from engine.types import Floats
from trainer.collection.annotations import JudgedQuery, nearest_moments
from trainer.collection.encoders import clip_encoder_of, clip_encoder_source, encoder_of, encoder_source
from trainer.collection.places import features_directory, open_projector, projector_directory
from trainer.collection.queries import QueryFeatures, encode_queries
from trainer.collection.retrieval import Retrieval
from trainer.collection.segments import VideoRows
from trainer.collection.sentences import sentences_of
from trainer.formats.samples import Samples, kept_samples, load_samples
from trainer.ranker.data import MomentPairs, TrainingData, mine, pairs_of, trainable
from trainer.ranker.given import given
from trainer.ranker.lists import Graded, Lists, joined
from trainer.ranker.mining import Mined
from trainer.ranker.settings import RankerSettings
from trainer.ranker.sources import read_sources
from trainer.ranker.val_data import Val, contexts_of, projected, validation_of
from trainer.ranker.validation import Validation
from workers.feature_store.store import FeatureStore
from workers.ranker.model.relo import ReloConfig
from workers.ranker.projection.projector import ClipPool, MeanPool, Projector
from workers.ranker.stores.checkpoint import read_card
from workers.ranker.stores.features import CLIPS, FRAMES
from workers.ranker.stores.joined import offsets_of


@dataclass(frozen=True, slots=True)
class Prepared:
    """A training's data.

    texts: training queries as retrieval searches them, (n, dim). dropped: pairs without a clip of their
    moment. mined: share of pairs with proposals.
    digest: names annotations, features and retrieval, so that a resumed run can tell them from others.
    """

    encoder: str
    projector: str
    model: ReloConfig
    train: TrainingData
    validation: Validation
    texts: Floats
    dropped: int
    mined: float
    digest: str


def prepare(
    collection: Path,
    settings: RankerSettings,
    projector: str | None,
    encoder: str | None,
    device: torch.device,
    text_encoder: str | None = None,
) -> Prepared:
    """Read features and annotations, encode queries, retrieve; one-sentence errors name what is missing.

    projector: a fingerprint, "none" for mean pooling, or None for the current one. text_encoder: of what is
    said and written, as `spr build` takes it.
    """
    store = FeatureStore.open(features_directory(collection, encoder))
    fingerprint = encoder_of(store)
    sources = read_sources(collection, settings)
    texts = [query.query for query in (*sources.train, *sources.val)]
    features = encode_queries(collection, fingerprint, encoder_source(store), texts, str(device))
    features, stage1 = _stage1(collection, store, projector, features, texts, device)
    model = _model(store, features.tokens(texts[0]).shape[1], settings)
    samples = None
    if settings.samples == "kept":
        samples = load_samples(kept_samples(collection, settings.top_k, model.window.context))
    train, dropped = _training(store, sources.train, samples, features, stage1, model, settings, device)
    sentences = sentences_of(collection, text_encoder, str(device))
    told = Val(store, sources.val, sources.corpus, features, stage1, sentences)
    validation = validation_of(told, settings, device)
    card = None if isinstance(stage1, MeanPool) else read_card(projector_directory(collection, projector))
    name = card.fingerprint if card else ""
    return Prepared(
        encoder=fingerprint,
        projector=name,
        model=model,
        train=train,
        validation=validation,
        texts=projected(stage1, features, sources.train, device).cpu().numpy(),
        dropped=dropped,
        mined=float((np.diff(train.mined.offsets) > 0).mean()),
        digest=_digest(sources.digest, train, name),
    )


def _stage1(
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


def _model(store: FeatureStore, width: int, settings: RankerSettings) -> ReloConfig:
    window = settings.model.window
    names = (window.video_stream, window.subtitle_stream)
    for name in names:
        if name not in store.streams:
            raise InvalidInput(
                f"{store.path} has no stream {name!r} but {', '.join(sorted(store.streams))}; "
                "choose with --set model.window.video_stream=NAME and "
                "--set model.window.subtitle_stream=NAME."
            )
    video, subtitles = (store.streams[name] for name in names)
    return settings.model_for(video.dim, subtitles.dim, width, video.step)


def _training(
    store: FeatureStore,
    queries: Sequence[JudgedQuery],
    samples: Samples | None,
    features: QueryFeatures,
    stage1: Projector | MeanPool,
    model: ReloConfig,
    settings: RankerSettings,
    device: torch.device,
) -> tuple[TrainingData, int]:
    nearest = nearest_moments(queries, settings.top_k)
    videos = {moment.video for query in nearest for moment in query.moments}
    if samples and settings.loss.hard_negatives:
        videos |= samples.videos
    contexts, ordinals = contexts_of(store, videos, "train")
    length = stage1.segment_length * contexts.step(FRAMES)
    every = pairs_of(nearest, ordinals, settings.min_similarity)
    pairs = every.take(trainable(every, contexts, length, model.window))
    _check_enough(pairs, settings)
    if samples:
        mined, wrong = given(samples, pairs, queries, ordinals, contexts, model.window)
    else:
        retrieval = Retrieval.embed(VideoRows.of_contexts(contexts), stage1, device)
        queried = projected(stage1, features, queries, device)
        mined, wrong = mine(pairs, queried, retrieval, contexts, model.window, settings)
    tokens = [features.tokens(query.query) for query in queries]
    made = TrainingData(
        contexts=contexts,
        pairs=pairs,
        mined=mined,
        wrong=wrong if settings.loss.hard_negatives else None,
        tokens=tokens,
        window=model.window,
        segment_length=length,
        by_similarity=settings.loss.by_similarity,
        lists=_lists(nearest, ordinals, pairs, mined, wrong, settings) if settings.loss.lists else None,
        halo=min(model.halo, model.reach),
    )
    return made, len(every) - len(pairs)


def _check_enough(pairs: MomentPairs, settings: RankerSettings) -> None:
    """Refuse (InvalidInput) to train on fewer pairs than a batch has."""
    if len(pairs) < settings.batch:
        raise InvalidInput(
            f"Only {len(pairs)} training pairs have a similarity of {settings.min_similarity} or more, "
            f"fewer than a batch of {settings.batch}; lower min_similarity or batch."
        )


def _lists(
    queries: Sequence[JudgedQuery],
    ordinals: dict[str, int],
    pairs: MomentPairs,
    mined: Mined,
    wrong: Mined,
    settings: RankerSettings,
) -> Lists:
    """Return every query's proposals, the right and the wrong ones, and what all its moments are worth."""
    every = pairs_of(queries, ordinals, -1.0)
    graded = Graded.of(every.query, every.video, every.moments, every.similarity, len(queries))
    proposals = joined(mined, pairs.query, wrong, len(queries))
    return Lists(proposals, graded, settings.loss.list_size)


def _digest(judged: bytes, train: TrainingData, projector: str) -> str:
    digest = hashlib.sha256(projector.encode())
    digest.update(judged)
    digest.update(train.mined.spans.tobytes())
    for stream in train.contexts.streams.values():
        digest.update(offsets_of(stream.counts).tobytes())
    return digest.hexdigest()
