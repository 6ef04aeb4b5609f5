"""From a collection on disk to what a ranker's training reads."""

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from engine.errors import InvalidInput
from engine.types import Floats, Proposals
from trainer.collection.annotations import JudgedQuery, nearest_moments
from trainer.collection.encoders import encoder_of, encoder_source
from trainer.collection.places import features_directory
from trainer.collection.projectors import projector_directory
from trainer.collection.queries import QueryFeatures, encode_queries
from trainer.collection.sentences import sentences_of
from trainer.formats.samples import Samples, kept_samples, load_samples
from trainer.ranker.data import MomentPairs, TrainingData, mine, pairs_of, trainable
from trainer.ranker.given import given
from trainer.ranker.lists import Graded, Lists, joined
from trainer.ranker.mining import Mined
from trainer.ranker.proposing import Proposer, Sought, stage1_of
from trainer.ranker.settings import RankerSettings
from trainer.ranker.sources import read_sources
from trainer.ranker.val_data import Val, contexts_of, projected, validation_of
from trainer.ranker.validation import Validation
from trainer.spread.crew import address_of
from workers.feature_store.store import FeatureStore
from workers.ranker.model.relo import ReloConfig
from workers.ranker.projection.projector import MeanPool, Projector
from workers.ranker.stores.checkpoint import read_card
from workers.ranker.stores.features import FRAMES, FeatureMaps
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
    engine: str = "local",
) -> Prepared:
    """Read features and annotations, encode queries, retrieve; one-sentence errors name what is missing.

    projector: a fingerprint, "none" for mean pooling, or None for the current one. text_encoder: of what is
    said and written, as `spr build` takes it. engine: where proposals are mined, as `--engine` has it.
    """
    store = FeatureStore.open(features_directory(collection, encoder))
    fingerprint = encoder_of(store)
    sources = read_sources(collection, settings)
    texts = [query.query for query in (*sources.train, *sources.val)]
    features = encode_queries(collection, fingerprint, encoder_source(store), texts, str(device))
    features, stage1 = stage1_of(collection, store, projector, features, texts, device)
    model = _model(store, features.tokens(texts[0]).shape[1], settings)
    sought = _sought(collection, settings, projector, encoder, sources.train)
    proposed = functools.partial(_proposed, sought, features, stage1, device, engine)
    data = store, sources.train, _samples(collection, settings, model)
    train, dropped = _training(*data, features, stage1, model, settings, proposed)
    sentences = sentences_of(collection, text_encoder, str(device))
    told = Val(store, sources.val, sources.corpus, features, stage1, sentences)
    validation = validation_of(told, settings, device)
    name = _name(collection, projector, stage1)
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


def _name(collection: Path, projector: str | None, stage1: Projector | MeanPool) -> str:
    """Return the fingerprint of what retrieves, "" for a mean pool."""
    if isinstance(stage1, MeanPool):
        return ""
    return read_card(projector_directory(collection, projector)).fingerprint


def _sought(
    collection: Path,
    settings: RankerSettings,
    projector: str | None,
    encoder: str | None,
    queries: Sequence[JudgedQuery],
) -> Sought:
    """Return what is to be mined, without its videos, which are found with the pairs."""
    texts = [query.query for query in queries]
    rule = settings.depth, settings.depth_share, settings.proposals
    return Sought(collection.absolute(), encoder, projector, (), texts, *rule)


def _samples(collection: Path, settings: RankerSettings, model: ReloConfig) -> Samples | None:
    if settings.samples != "kept":
        return None
    return load_samples(kept_samples(collection, settings.top_k, model.window.context))


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
    proposed: Callable[[FeatureMaps, Sequence[str]], Iterable[Proposals]],
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
        found = proposed(contexts, list(ordinals))
        mined, wrong = mine(pairs, found, contexts, model.window, settings)
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


def _proposed(
    sought: Sought,
    features: QueryFeatures,
    stage1: Projector | MeanPool,
    device: torch.device,
    engine: str,
    contexts: FeatureMaps,
    videos: Sequence[str],
) -> Iterable[Proposals]:
    """Return the proposals of all training queries, in order."""
    address, sought = address_of(engine), replace(sought, videos=videos)
    if address is None:
        return Proposer(sought, contexts, features, stage1, device).proposals()
    from trainer.spread.proposals import proposals_spread

    return proposals_spread(sought, address, device)


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
