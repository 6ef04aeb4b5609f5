"""A tiny random CLIP and a tiny collection of parts and versions, for tests of the ranker worker."""

import functools
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine import parts, versions
from engine.catalogue import PartCatalogue
from engine.entries import (
    EncoderEntry,
    ModelEntry,
    Part,
    PartEntry,
    ShardEntry,
    StreamEntry,
    TextsEntry,
    Version,
    runs_of,
)
from engine.staging import staged
from tests import plain
from tests.workers.ranker.clip_files import TEXTS as TEXTS
from tests.workers.ranker.clip_files import clip_files
from tests.workers.ranker.sentences.tiny import tiny_sentences, write
from workers.feature_store.store import FeatureStore, Stream
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.whole import encode_videos
from workers.ranker.model.windows import WindowConfig
from workers.ranker.projection import projector
from workers.ranker.projection.projector import Projector, ProjectorConfig
from workers.ranker.scoring import relo_ranker
from workers.ranker.scoring.decode import DecodeConfig
from workers.ranker.scoring.fusion import Fusion
from workers.ranker.scoring.relo_ranker import RankerConfig, ReloRanker
from workers.ranker.sentences.layout import fingerprint_of
from workers.ranker.stores.checkpoint import save_model
from workers.ranker.stores.contexts import write_encoded
from workers.ranker.stores.features import DIRECTORY, FRAMES, SUBTITLES, FeatureMaps, write_context

WIDTH = 32
VIDEOS = {"a": 40, "b": 25, "c": 3}


def tiny_clip(folder: Path, seed: int = 0, width: int = WIDTH) -> Path:
    """Save a random CLIP of 16 pixels and two layers as a Hugging Face directory."""
    files, drawn = clip_files(seed, width)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    torch.set_rng_state(drawn)
    return folder


@functools.cache
def tiny_encoder() -> Encoder:
    """Return what `tiny_clip` saves, loaded. Its name is that of a directory that is gone."""
    with tempfile.TemporaryDirectory() as folder:
        return Encoder.load(str(tiny_clip(Path(folder))), "cpu")


@dataclass(frozen=True, slots=True)
class Tiny:
    """A tiny collection: its directory, its features, and a version of its models without any part."""

    directory: Path
    store: FeatureStore
    template: Version

    def part(self, ids: Iterable[str]) -> PartEntry:
        """Write a part of some videos, with their features, contexts and catalogue."""
        chosen, template = sorted(ids), self.template
        durations = np.array([self.store.record(video).duration for video in chosen], np.float64)
        segments = np.ceil(durations / template.segment_length).astype(np.int32)
        with staged(self.directory) as staging:
            write_context(staging.path / DIRECTORY, self.store, chosen)
            if template.contexts:
                self._write_contexts(staging.path, chosen)
            PartCatalogue(chosen, [""] * len(chosen), durations, segments).write(staging.path)
            staging.id = parts.seal(staging.path, self._about(len(chosen), int(segments.sum()))).id
        return parts.entry_of(self.directory, staging.id)

    def version(self, *shards: Sequence[PartEntry], deleted: Collection[str] = ()) -> str:
        """Write a version that lists these parts of each shard, make it current, and return its id."""
        entries = [self._shard(n, listed, set(deleted)) for n, listed in enumerate(shards)]
        made = versions.commit(self.directory, versions.with_shards(self.template, entries, "build"))
        versions.activate(self.directory, made.id)
        return made.id

    def _shard(self, number: int, listed: Sequence[PartEntry], deleted: set[str]) -> ShardEntry:
        entries, living, segments = [], 0, 0
        for entry in listed:
            catalogue = PartCatalogue.open(parts.directory(self.directory, entry.id))
            gone = [n for n, video in enumerate(catalogue.ids) if video in deleted]
            entries.append(replace(entry, deleted=runs_of(gone)))
            living += entry.videos - len(gone)
            segments += entry.segments - int(catalogue.segments[gone].sum())
        return ShardEntry(f"shard-{number:05d}", living, segments, tuple(entries))

    def _about(self, videos: int, segments: int) -> Part:
        version = self.template
        ranker = version.ranker.fingerprint if version.ranker and version.contexts else ""
        return plain.part(
            embedding_model=version.embedding_model,
            dim=version.dim,
            segment_length=version.segment_length,
            factory=version.factory,
            ranker=ranker,
            contexts=version.contexts,
            videos=videos,
            segments=segments,
            streams=version.streams,
        )

    def _write_contexts(self, part: Path, ids: list[str]) -> None:
        """Write contexts, every video encoded by itself: the same in whatever part it lies."""
        assert self.template.ranker is not None
        ranker = ReloRanker.open(versions.model_path(self.directory, self.template.ranker))
        device = torch.device("cpu")
        alone = (FeatureMaps.from_feature_store(self.store, [video]) for video in ids)
        videos = [pair for maps in alone for pair in encode_videos(ranker.model, maps, device)]
        dtype: Any = self.template.contexts
        write_encoded(part / "encoded", 16, 1.0, dtype, videos, ranker.fingerprint)


def tiny(
    collection: Path,
    *,
    trained: bool,
    contexts: str = "",
    videos: Mapping[str, int] = VIDEOS,
    fingerprint: str = "",
    ranker_width: int = WIDTH,
    sentences: bool = False,
    fusion: Fusion | None = None,
) -> Tiny:
    """Make features of videos (seconds by id) and models, a random projector and ranker too if `trained`.

    contexts: how parts store them, "float16" or "int8". fingerprint: what versions say the encoder's is, in
    place of the truth. ranker_width: of the frame features that the ranker reads. sentences: whether the
    versions have a sentence encoder. fusion: the ranker's.
    """
    encoder = tiny_encoder()
    tiny_clip(collection / "models" / "encoder" / "tiny")
    made = {}
    if trained:
        made = {"projector": _projector(collection), "ranker": _ranker(collection, ranker_width, fusion)}
    name = fingerprint or encoder.fingerprint
    template = plain.version(
        encoder=EncoderEntry("tiny", name, "models/encoder/tiny"),
        projector=made.get("projector"),
        ranker=made.get("ranker"),
        embedding_model=versions.embedding_model(name, made["projector"].fingerprint if trained else None),
        dim=WIDTH,
        streams={stream: StreamEntry(WIDTH, 1.0, "float16") for stream in (FRAMES, SUBTITLES)},
        contexts=contexts,
        texts=_texts(collection) if sentences else None,
    )
    return Tiny(collection, _features(collection, encoder, videos), template)


def _texts(collection: Path) -> TextsEntry:
    folder = tiny_sentences(collection / "models/sentences/tiny")
    write(folder / "sentence_bert_config.json", {"max_seq_length": 8})
    return TextsEntry("", EncoderEntry("tiny", fingerprint_of(folder), "models/sentences/tiny"), 16)


def tiny_collection(collection: Path, **settings: Any) -> Tiny:
    """Make a collection with one version of one part; see `tiny`."""
    made = tiny(collection, **settings)
    made.version([made.part(made.store.ids())])
    return made


def _features(collection: Path, encoder: Encoder, videos: Mapping[str, int]) -> FeatureStore:
    """Noise in which video "a" shows TEXTS[0] from second 12 to 20."""
    random = np.random.default_rng(0)
    shown = encoder.text([TEXTS[0]]).pooled[0]
    streams = {FRAMES: Stream(WIDTH, 1.0), SUBTITLES: Stream(WIDTH, 1.0)}
    folder = collection / "features" / encoder.fingerprint
    with FeatureStore.create(folder, streams, "float16") as store:
        for video, seconds in videos.items():
            frames = 0.3 * random.normal(size=(seconds, WIDTH)) * np.linalg.norm(shown) / np.sqrt(WIDTH)
            if video == "a":
                frames[12:20] += shown
            arrays = {FRAMES: frames, SUBTITLES: np.zeros((seconds, WIDTH))}
            store.append(video, arrays, duration=float(seconds))
    return FeatureStore.open(folder)


def _projector(collection: Path) -> ModelEntry:
    torch.manual_seed(1)
    config = ProjectorConfig(dim=WIDTH, type="meanP", heads=2, layers=1)
    folder = collection / "models" / "projector" / "p"
    name = save_model(folder, projector.KIND, config, Projector(config).state_dict())
    return ModelEntry("models/projector/p", name)


def _ranker(collection: Path, visual_dim: int, fusion: Fusion | None) -> ModelEntry:
    torch.manual_seed(2)
    model = ReloConfig(
        visual_dim=visual_dim,
        subtitle_dim=WIDTH,
        query_dim=WIDTH,
        hidden=16,
        heads=2,
        window=WindowConfig(clip_length=1.0),
    )
    folder = collection / "models" / "ranker" / "r"
    config = RankerConfig(model=model, decode=DecodeConfig(fusion=fusion))
    name = save_model(folder, relo_ranker.KIND, config, Relo(model).state_dict())
    return ModelEntry("models/ranker/r", name)
