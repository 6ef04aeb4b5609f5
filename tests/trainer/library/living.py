"""Small collections of random features that live, and what a search over all their videos answers."""

import functools
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.corpus import Corpus, Known, open_corpus
from engine.merge import top_k
from engine.types import Floats, Hits
from trainer.collection.segments import VideoRows, embed_as_told
from trainer.generation.build import BuildConfig, build
from trainer.generation.kit import Kit
from workers.feature_store.store import FeatureStore, Stream
from workers.index.part import IndexPart
from workers.index.shard import Shard, ShardOpener
from workers.ranker.model.relo import Relo, ReloConfig
from workers.ranker.model.windows import WindowConfig
from workers.ranker.scoring.relo_ranker import KIND, RankerConfig
from workers.ranker.stores.checkpoint import save_model
from workers.ranker.stores.contexts import EncodedStore
from workers.ranker.stores.features import FeatureMaps

ENCODER = "e0e0e0e0e0e0e0e0"
DIM = 8
STREAMS = {"frames": Stream(DIM, 1.0), "subtitles": Stream(DIM, 1.0)}
META = {"encoder": "tiny", "source": "tiny", "fingerprint": ENCODER}
# Some vectors are the same in several videos, for ties.
COMMON = np.random.default_rng(5).standard_normal((3, DIM)).astype(np.float32)
QUERIES = np.random.default_rng(6).standard_normal((2, DIM)).astype(np.float32)
QUERIES = np.concatenate([QUERIES, COMMON[:1]])
QUERIES /= np.linalg.norm(QUERIES, axis=1, keepdims=True)

Content = tuple[int, int]  # seed of the features, number of rows
Answer = list[tuple[list[str], list[int], list[float]]]


@functools.cache
def arrays(content: Content) -> dict[str, Any]:
    seed, rows = content
    random = np.random.default_rng(seed)
    frames = random.standard_normal((rows, DIM))
    frames[:4] = COMMON[seed % 3]
    return {"frames": frames, "subtitles": random.standard_normal((rows, DIM)) * (seed % 2)}


def store(collection: Path, mode: Any = "a") -> FeatureStore:
    path = collection / "features" / ENCODER
    return FeatureStore.ensure(path, STREAMS, "float16", META) if mode == "a" else FeatureStore.open(path)


def ingested(collection: Path, videos: Mapping[str, Content]) -> None:
    """Put videos into the feature store."""
    with store(collection) as features:
        for video, content in videos.items():
            features.append(video, arrays(content), f"file:///{video}.mp4", f"{content}", content[1] - 0.5)


def ranked(path: Path) -> str:
    """Give a collection that is to be built an untrained ranker, so that its parts store contexts."""
    torch.manual_seed(0)
    window = WindowConfig(clip_length=1.0, max_clips=32)
    model = ReloConfig(visual_dim=DIM, subtitle_dim=DIM, query_dim=DIM, hidden=8, heads=2, window=window)
    folder = path / "models" / "ranker" / "made"
    name = save_model(folder, KIND, RankerConfig(model), Relo(model).state_dict(), encoder=ENCODER)
    folder.rename(folder.with_name(name))
    (folder.parent / "CURRENT").write_text(name + "\n")
    return name


def collection(path: Path, videos: Mapping[str, Content], shards: int = 2, index: str = "flat") -> Path:
    """Build a version of videos."""
    path.mkdir(parents=True, exist_ok=True)
    (path / "collection.json").write_text(json.dumps({"name": "tiny", "format": 1}))
    ingested(path, videos)
    build(BuildConfig(collection=path, shards=shards, index=index, device="cpu"))
    return path


def copied(source: Path, target: Path) -> Path:
    """Copy a collection; its parts, which nobody writes to, by hard links."""
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("parts"))
    shutil.copytree(source / "parts", target / "parts", copy_function=os.link)
    return target


class Searcher:
    """Searches the current version of a collection by the index workers' own code."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: Known = {}
        self.shards: dict[str, ShardOpener] = {}
        self.held: list[Shard] = []
        self.maps: dict[str, FeatureMaps] = {}

    def corpus(self) -> Corpus:
        return open_corpus(self.path, known=self.known)

    def answers(self, corpus: Corpus, *tops: int) -> list[Answer]:
        """Return what the queries find, so many hits each time."""
        # Held until the next time, so that versions share open parts.
        self.held = [
            self.shards.setdefault(shard.name, ShardOpener(shard.name, "cpu"))(corpus)
            for shard in corpus.version.shards
        ]
        told = []
        for top in tops:
            found = [shard.search(QUERIES, top) for shard in self.held]
            hits = [top_k([one[query] for one in found], top) for query in range(len(QUERIES))]
            told.append([_told(each, corpus.catalogue.ids) for each in hits])
        return told

    def features(self, corpus: Corpus) -> dict[str, tuple[str, float, bytes]]:
        """Return what the catalogue and the ranker's features say of every video."""
        for part in corpus.parts:
            if part.about.id not in self.maps:
                self.maps[part.about.id] = FeatureMaps.open(part.directory)
        parts = [self.maps[part.about.id] for part in corpus.parts]
        maps = FeatureMaps.of_parts(parts, [part.ordinals for part in corpus.parts], corpus.version.streams)
        columns = zip(corpus.catalogue.ids, corpus.catalogue.uris, corpus.catalogue.durations, strict=True)
        return {
            video: (
                uri,
                float(seconds),
                b"".join(np.asarray(maps.video(n, name)).tobytes() for name in sorted(STREAMS)),
            )
            for n, (video, uri, seconds) in enumerate(columns)
        }


def contexts(corpus: Corpus) -> dict[str, bytes]:
    """Return what the ranker's contexts, as they are stored, are of every video."""
    stores = [EncodedStore.open(part.directory) for part in corpus.parts]
    found = {}
    for part, one in zip(corpus.parts, stores, strict=True):
        for number in part.living:
            rows = slice(one.starts[number], one.starts[number] + one.clips[number])
            arrays = [
                array[rows]
                for _, stream in sorted(one.streams.items())
                for array in (stream.unit, stream.norms)
            ]
            found[corpus.catalogue.ids[part.ordinals[number]]] = b"".join(array.tobytes() for array in arrays)
    return found


class Fresh:
    """What a fresh build of some videos answers: one exact index of all of them, in memory."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._vectors: dict[Content, Floats] = {}

    def answers(self, videos: Mapping[str, Content], *tops: int) -> list[Answer]:
        names = sorted(videos)
        blocks = [self._of(videos[name]) for name in names]
        counts = [len(block) for block in blocks]
        numbers = np.repeat(np.arange(len(names), dtype=np.int32), counts)
        segments = np.concatenate([np.zeros(0, np.int32), *(np.arange(n, dtype=np.int32) for n in counts)])
        index = IndexPart.build(self._kit.template, blocks, numbers, segments)
        return [[_told(hits, names) for hits in index.search(QUERIES, top)] for top in tops]

    def _of(self, content: Content) -> Floats:
        if content not in self._vectors:
            rows = {name: np.asarray(given, np.float16) for name, given in arrays(content).items()}
            one = VideoRows(
                ["one"],
                np.array([content[1]]),
                np.array([content[1] - 0.5]),
                {name: (stream.dim, stream.step) for name, stream in STREAMS.items()},
                lambda _, name: rows[name],
            )
            blocks = embed_as_told(one, self._kit.projector, torch.device("cpu"))
            self._vectors[content] = np.concatenate(list(blocks))
        return self._vectors[content]


def features_of(videos: Mapping[str, Content]) -> dict[str, tuple[str, float, bytes]]:
    """Return what `Searcher.features` says of these videos."""
    told = {}
    for video, content in sorted(videos.items()):
        rows = arrays(content)
        stored = b"".join(np.asarray(rows[name], np.float16).tobytes() for name in sorted(STREAMS))
        told[video] = (f"file:///{video}.mp4", content[1] - 0.5, stored)
    return told


def parts_of(path: Path) -> dict[str, int]:
    """Return how many parts each shard of the current version has."""
    return {shard.name: len(shard.parts) for shard in open_corpus(path).version.shards}


def living(path: Path) -> list[str]:
    return open_corpus(path).catalogue.ids


def _told(hits: Hits, ids: Iterable[str]) -> tuple[list[str], list[int], list[float]]:
    names = list(ids)
    return [names[video] for video in hits.videos], hits.segments.tolist(), hits.scores.tolist()
