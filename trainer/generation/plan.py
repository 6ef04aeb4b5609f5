"""What a build will make, settled before any work: videos, models, index, shards."""

import dataclasses
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine import versions
from engine.entries import EncoderEntry, ModelEntry
from engine.errors import InvalidInput, NotFound
from engine.types import Ordinals
from trainer.collection.annotations import load_corpus
from trainer.collection.places import FRAMES, describe_collection, features_directory, known_videos
from trainer.collection.segments import VideoRows, deal
from trainer.generation.before import before, bring_back, check_videos, settings, settle, take_model
from trainer.generation.config import BuildConfig
from trainer.generation.contexts import choose_contexts
from trainer.generation.kit import Kit
from trainer.generation.models import clip_encoder_entry, encoder_entry, load_ranker, load_stage1
from trainer.generation.sentences import NONE, choose_sentences
from trainer.generation.sources import fingerprint_of, lost_texts
from workers.feature_store.format import FORMERLY
from workers.feature_store.store import FeatureStore
from workers.index.factory import Recipe, recipe
from workers.index.training import Template, check_recipe
from workers.ranker.encoder.encoder import pick_device
from workers.ranker.projection.projector import MeanPool, Projector, index_stream
from workers.ranker.scoring.relo_ranker import ReloRanker
from workers.ranker.sentences.encoder import SentenceEncoder
from workers.ranker.stores.rounding import ContextType

KINDS = ("projector", "ranker")


@dataclass(frozen=True)
class Plan:
    """Everything that decides what a version is. counts, shards: (n,) of the videos `ids`.

    sources: fingerprint of all that goes in, by which the same is found again. settings: for the next build.
    parent: the id of the version before, "" for none. sentences: what encodes texts, None for nothing.
    """

    parent: str
    sources: str
    settings: Mapping[str, Any]
    name: str
    store: FeatureStore
    ids: list[str]
    counts: Ordinals
    shards: Ordinals
    encoder: EncoderEntry
    projector: Projector | MeanPool
    projector_entry: ModelEntry | None
    ranker_entry: ModelEntry | None
    ranker: ReloRanker | None
    contexts: ContextType | None
    recipe: Recipe
    device: torch.device
    missing: int
    notes: list[str]
    sentences: tuple[EncoderEntry, SentenceEncoder] | None = None
    clip_encoder: EncoderEntry | None = None

    @property
    def dim(self) -> int:
        """Width of a segment vector."""
        return _width(self.store)

    @property
    def segments(self) -> int:
        """How many there are in all."""
        return int(self.counts.sum())

    @property
    def bytes(self) -> int:
        """How much the disk must hold at least while it is built, in bytes."""
        vectors = 4 * self.segments * self.dim
        index = vectors if self.recipe.factory == "Flat" else vectors // 32
        rows = [self.store.record(video).streams for video in self.ids]
        widths = {name: stream.dim * self.store.dtype.itemsize for name, stream in self.store.streams.items()}
        contexts = sum(width * streams[name][1] for streams in rows for name, width in widths.items())
        return index + max(vectors, contexts)

    @property
    def embedding_model(self) -> str:
        """The name of the vectors' space."""
        projected = self.projector_entry.fingerprint if self.projector_entry else None
        clips = self.clip_encoder.fingerprint if self.clip_encoder else ""
        return versions.embedding_model(self.encoder.fingerprint, projected, clips)

    @property
    def segment_length(self) -> float:
        """Seconds."""
        return self.projector.segment_length * self.store.streams[FRAMES].step

    @property
    def shard_count(self) -> int:
        """How many shards there are."""
        return int(self.shards.max()) + 1

    def ids_of(self, shard: int) -> list[str]:
        """Return the videos of a shard, sorted."""
        return [self.ids[video] for video in np.flatnonzero(self.shards == shard)]

    @property
    def clips(self) -> int:
        """How many clips the ranker encodes, 0 without one."""
        if self.ranker is None:
            return 0
        stream = self.ranker.model.config.window.video_stream
        return sum(self.store.record(video).streams[stream][1] for video in self.ids)

    def kit(self, template: Template) -> Kit:
        """Return what every part is made with."""
        ranker = self.ranker if self.contexts is not None else None
        return Kit(
            self.store,
            self.projector,
            self.embedding_model,
            self.recipe.label,
            template,
            ranker,
            self.contexts,
            self.device,
        )


def make_plan(config: BuildConfig) -> Plan:
    """Read what is there and decide, before models load; NotFound, InvalidInput or Mismatch say why not."""
    # A corpus file of before does not say that what was added since may go.
    collection, named = config.collection, config.videos is not None
    served = before(collection)
    config, notes = settle(config, served)
    store = FeatureStore.open(features_directory(collection, config.encoder))
    notes += bring_back(config, served, store, _known_ids(store, store.ids()))
    ids, wanted, missing = _videos(store, config.videos, frozenset() if named else served.ids)
    check_videos(config, served, _known_ids(store, ids), wanted if named else None)
    rows, dim = VideoRows.of_store(store, ids), _width(store)
    shards = _check_asked(config, rows, dim)
    first, second = (take_model(config, served, kind, store, notes) for kind in KINDS)
    device, ranker = pick_device(config.device), load_ranker(collection, second, store)
    projector = load_stage1(collection, first, store, device)
    counts = rows.segment_counts(projector.segment_length)
    sentences = choose_sentences(collection, config.text_encoder or NONE, config.device)
    plan = Plan(
        parent=served.id,
        sources="",
        settings=settings(config, sentences),
        name=describe_collection(collection, config.name),
        store=store,
        ids=ids,
        counts=counts,
        shards=deal(counts, shards),
        encoder=encoder_entry(collection, store),
        projector=projector.to(device),
        projector_entry=first,
        ranker_entry=second,
        ranker=ranker,
        contexts=choose_contexts(config.contexts or "auto", ranker),
        recipe=_recipe(config, dim, int(counts.sum())),
        device=device,
        missing=missing,
        notes=[*store.notices, *notes, *lost_texts(store, ids), *_left_out(missing, config, store)],
        sentences=sentences,
        clip_encoder=clip_encoder_entry(collection, store),
    )
    return dataclasses.replace(plan, sources=_sources(plan))


def _check_asked(config: BuildConfig, rows: VideoRows, dim: int) -> int:
    """Return how many shards to make; InvalidInput for them, or an index, that cannot be."""
    if config.shards is None or not 1 <= config.shards <= len(rows):
        raise InvalidInput(
            f"--shards {config.shards} is not between 1 and the number of videos, {len(rows)}."
        )
    check_recipe(_recipe(config, dim, int(rows.frames.sum())), dim)
    return config.shards


def _recipe(config: BuildConfig, dim: int, segments: int) -> Recipe:
    """Return the index to build, with what the command line says of it."""
    made = recipe(config.index or "auto", dim, segments, config.shards or 1)
    if config.nprobe:
        made = dataclasses.replace(made, nprobe=min(config.nprobe, max(1, made.partitions)))
    if config.recall is not None:
        if not 0 <= config.recall <= 1:
            raise InvalidInput(f"--recall {config.recall} is not between 0 and 1.")
        made = dataclasses.replace(made, recall=config.recall)
    return made


def _width(store: FeatureStore) -> int:
    return store.streams[index_stream(store.streams)].dim


def _known_ids(store: FeatureStore, ids: Sequence[str]) -> set[str]:
    """Return the ids, and those that the videos had before they were renamed."""
    return {*ids, *(former for video in ids for former in store.record(video).info.get(FORMERLY, ()))}


def _videos(
    store: FeatureStore, corpus: Path | None, also: Set[str]
) -> tuple[list[str], list[str] | None, int]:
    """Return the ids to index, sorted, those that a corpus file names, and how many have no features.

    also: ids to index beside those of the corpus file, as far as they have features.
    """
    wanted = store.ids() if corpus is None else list(load_corpus(corpus))
    ids = known_videos(store, [*wanted, *also])
    ids = [video for video in ids if store.record(video).streams[FRAMES][1] > 0]
    if not ids:
        where = f"of the {len(wanted)} videos in {corpus} none" if corpus else "not one video"
        raise NotFound(f"{where} has features in {store.path}; run `spr ingest` first.")
    return ids, None if corpus is None else wanted, len({*wanted} - {*ids})


def _left_out(missing: int, config: BuildConfig, store: FeatureStore) -> list[str]:
    """Return a note of how many videos have no features."""
    of = f"of {config.videos or store.path}"
    if missing == 1:
        return [f"1 video {of} has no features and is left out"]
    return [f"{missing} videos {of} have no features and are left out"] if missing else []


def _sources(plan: Plan) -> str:
    """Return 16 hex digits over all that decides the content: the features row by row; no clock is."""
    head = {
        "collection": plan.name,
        "encoder": dataclasses.asdict(plan.encoder),
        "projector": plan.projector_entry and dataclasses.asdict(plan.projector_entry),
        "ranker": plan.ranker_entry and dataclasses.asdict(plan.ranker_entry),
        "contexts": plan.contexts,
        "index": dataclasses.asdict(plan.recipe),
        "segment_length": plan.segment_length,
        "shards": plan.shard_count,
        "videos": plan.settings["videos"],
    }
    if plan.clip_encoder is not None:
        head["clip_encoder"] = dataclasses.asdict(plan.clip_encoder)
    if plan.sentences is not None:
        head["sentences"] = dataclasses.asdict(plan.sentences[0]) | {"centred": True}
    return fingerprint_of(head, plan.store, plan.ids)
