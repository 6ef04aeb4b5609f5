"""What a build will make, settled before any work: videos, models, index, shards, and the generation's id."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine import manifest
from engine.errors import InvalidInput, Mismatch, NotFound
from engine.files import fingerprint, read_json
from engine.manifest import EncoderEntry, ModelEntry
from engine.types import Ordinals
from trainer.annotations import load_corpus
from trainer.collection import FRAMES, encoder_source, features_directory, known_videos, models_directory
from trainer.contexts import ContextsChoice, choose_contexts
from trainer.segments import check_streams, deal, segment_counts
from workers.index.factory import Recipe, recipe
from workers.ranker.checkpoint import read_card
from workers.ranker.encoded import ContextType
from workers.ranker.encoder import pick_device
from workers.ranker.projector import MeanPool, Projector, load_projector
from workers.ranker.relo_ranker import ReloRanker
from workers.store import FeatureStore

# Part of every id: raise it when the same input would make other files.
RECIPE_VERSION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """What to build. videos: a corpus file {video: duration}, all videos if None.

    projector, ranker: a directory, a fingerprint, "none", or None for the collection's current one.
    contexts: how the ranker's contexts are stored; see `choose_contexts`.
    keep: generations to leave, all if None. nprobe: lists a search visits at least, by default. recall: share
    of the 200 nearest segments that the index must find, None for what its type asks.
    """

    collection: Path
    shards: int = 1
    index: str = "auto"
    videos: Path | None = None
    encoder: str | None = None
    projector: str | None = None
    ranker: str | None = None
    contexts: ContextsChoice = "auto"
    nprobe: int | None = None
    recall: float | None = None
    device: str = "auto"
    activate: bool = True
    keep: int | None = None


@dataclass(frozen=True)
class Plan:
    """Everything that decides what a generation is. counts, shards: (n,) of the videos `ids`."""

    id: str
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

    @property
    def dim(self) -> int:
        """Width of a segment vector."""
        return self.store.streams[FRAMES].dim

    @property
    def segments(self) -> int:
        """How many there are in all."""
        return int(self.counts.sum())

    @property
    def embedding_model(self) -> str:
        """The name of the vectors' space."""
        projected = self.projector_entry.fingerprint if self.projector_entry else None
        return manifest.embedding_model(self.encoder.fingerprint, projected)

    @property
    def segment_length(self) -> float:
        """Seconds."""
        return self.projector.segment_length * self.store.streams[FRAMES].step


def make_plan(config: BuildConfig) -> Plan:
    """Read what is there and decide; NotFound, InvalidInput or Mismatch say what stands in the way."""
    collection = config.collection
    directory = features_directory(collection, config.encoder)
    store = FeatureStore.open(directory)
    notes = list(store.notices)
    ids, missing = _videos(store, config.videos)
    device = pick_device(config.device)
    projector_entry = _model(collection, "projector", config.projector, directory.name, notes)
    ranker_entry = _model(collection, "ranker", config.ranker, directory.name, notes)
    projector = _load_projector(collection, projector_entry, store, device)
    ranker = _load_ranker(collection, ranker_entry, store)
    counts = segment_counts(store, ids, projector.segment_length)
    if not 1 <= config.shards <= len(ids):
        raise InvalidInput(f"--shards {config.shards} is not between 1 and the number of videos, {len(ids)}.")
    made = _recipe(config, store.streams[FRAMES].dim, int(counts.sum()))
    about = collection / "collection.json"
    plan = Plan(
        id="",
        name=str(read_json(about)["name"]) if about.is_file() else "default",
        store=store,
        ids=ids,
        counts=counts,
        shards=deal(counts, config.shards),
        encoder=EncoderEntry(_relative(collection, encoder_source(store)), directory.name),
        projector=projector.to(device),
        projector_entry=projector_entry,
        ranker_entry=ranker_entry,
        ranker=ranker,
        contexts=choose_contexts(config.contexts, ranker),
        recipe=made,
        device=device,
        missing=missing,
        notes=notes,
    )
    return dataclasses.replace(plan, id=_identify(plan))


def _recipe(config: BuildConfig, dim: int, segments: int) -> Recipe:
    """Return the index to build, with what the command line says of it."""
    made = recipe(config.index, dim, segments, config.shards)
    if config.nprobe:
        made = dataclasses.replace(made, nprobe=min(config.nprobe, max(1, made.partitions)))
    if config.recall is not None:
        if not 0 <= config.recall <= 1:
            raise InvalidInput(f"--recall {config.recall} is not between 0 and 1.")
        made = dataclasses.replace(made, recall=config.recall)
    return made


def _videos(store: FeatureStore, corpus: Path | None) -> tuple[list[str], int]:
    """Return the ids to index, sorted, and how many of the corpus have no features."""
    wanted: Sequence[str] = store.ids() if corpus is None else list(load_corpus(corpus))
    ids = known_videos(store, wanted)
    ids = [video for video in ids if store.record(video).streams[FRAMES][1] > 0]
    if not ids:
        where = f"of the {len(wanted)} videos in {corpus} none" if corpus else "not one video"
        raise NotFound(f"{where} has features in {store.path}; run `spr ingest` first.")
    return ids, len(set(wanted)) - len(ids)


def _model(
    collection: Path, kind: str, choice: str | None, encoder: str, notes: list[str]
) -> ModelEntry | None:
    """Return the chosen model; Mismatch for one made for another encoder, which a default passes over."""
    home = models_directory(collection, kind)
    if choice == "none" or (choice is None and not (home / "CURRENT").is_file()):
        return None
    name = choice or (home / "CURRENT").read_text(encoding="utf-8").strip()
    directory = home / name if (home / name).is_dir() else Path(name)
    card = read_card(directory)
    if card.kind != kind:
        raise InvalidInput(f"{directory} holds a {card.kind}, not a {kind}; name a {kind}'s directory.")
    if card.encoder not in ("", encoder):
        message = (
            f"{kind} {card.fingerprint} was made for encoder {card.encoder}, the features are of {encoder}"
        )
        if choice is not None:
            raise Mismatch(f"{message}: train another, or say --{kind} none.")
        notes.append(f"{message}: built without a {kind}")
        return None
    return ModelEntry(_relative(collection, str(directory)), card.fingerprint)


def _relative(collection: Path, source: str) -> str:
    """Return a directory relative to the collection it lies in, else absolute; a hub name as it is."""
    path = Path(source)
    if not path.is_dir():
        return source
    inside = path.resolve().is_relative_to(collection.resolve())
    return str(path.resolve().relative_to(collection.resolve()) if inside else path.resolve())


def _load_projector(
    collection: Path, entry: ModelEntry | None, store: FeatureStore, device: torch.device
) -> Projector | MeanPool:
    if entry is None:
        return MeanPool()
    projector = load_projector(collection / entry.path, device)
    width = store.streams[FRAMES].dim
    if projector.config.dim != width:
        message = f"projector {entry.fingerprint} reads features {projector.config.dim} wide, these are"
        raise Mismatch(f"{message} {width}: train another, or say --projector none.")
    check_streams(store, projector.streams)
    return projector


def _load_ranker(collection: Path, entry: ModelEntry | None, store: FeatureStore) -> ReloRanker | None:
    """Refuse a ranker that is damaged or reads other features, now and not when it is served."""
    if entry is None:
        return None
    ranker = ReloRanker.open(collection / entry.path, "cpu")
    config = ranker.model.config
    window = config.window
    wanted = {window.video_stream: config.visual_dim, window.subtitle_stream: config.subtitle_dim}
    found = {name: stream.dim for name, stream in store.streams.items() if name in wanted}
    if found != wanted:
        message = f"ranker {entry.fingerprint} reads streams of widths {wanted}, the features have {found}: "
        raise Mismatch(message + "train another, or say --ranker none.")
    return ranker


def _identify(plan: Plan) -> str:
    """Return the generation's id: 16 hex digits over all that decides its content; no clock is."""
    head = {
        "version": RECIPE_VERSION,
        "collection": plan.name,
        "encoder": dataclasses.asdict(plan.encoder),
        "projector": plan.projector_entry and dataclasses.asdict(plan.projector_entry),
        "ranker": plan.ranker_entry and dataclasses.asdict(plan.ranker_entry),
        "contexts": plan.contexts,
        "index": dataclasses.asdict(plan.recipe),
        "segment_length": plan.segment_length,
        "shards": int(plan.shards.max()) + 1,
        "streams": {name: dataclasses.asdict(stream) for name, stream in plan.store.streams.items()},
        "dtype": np.dtype(plan.store.dtype).name,
    }
    parts = [json.dumps(head, sort_keys=True).encode()]
    parts += [json.dumps(_identity(plan.store, video)).encode() for video in plan.ids]
    return fingerprint(*parts)


def _identity(store: FeatureStore, video: str) -> list[object]:
    """Return what tells a video's features from others: checksums of its source, else their place."""
    record = store.record(video)
    rows = sorted((name, count) for name, (_, count) in record.streams.items())
    source = [record.sha256, record.info.get("sidecar_sha256", "")] if record.sha256 else record.streams
    return [video, record.uri, record.duration, rows, source]
