"""A collection that has every kind of file: models, codes and originals, stored contexts."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from engine.corpus import open_corpus
from tests.workers.ranker.factories import TEXTS, WIDTH, tiny
from trainer.collection.places import keep_encoder
from trainer.generation.build import BuildConfig, build
from trainer.library.adding import add
from trainer.library.kits import Kits
from workers.feature_store.store import FeatureStore
from workers.index.shard import ShardOpener
from workers.ranker.models import Models
from workers.ranker.stores.features import FeatureMaps

CODES = "RaBitQfs,Refine(SQfp16)"
BUILT = {"a": 40, "b": 25, "c": 9}
MORE = "d"
STREAMS = ("frames", "subtitles")


def complete(path: Path) -> Path:
    """Build it of three videos, and add one; the feature store has one more."""
    made = tiny(path, trained=True, videos=BUILT)
    source = path / "models" / "encoder" / "tiny"
    features = made.store.path
    meta = {"encoder": "tiny", "source": str(source), "fingerprint": features.name}
    FeatureStore.ensure(features, made.store.streams, "float16", meta).close()
    keep_encoder(path, source, features.name, str(source))
    shutil.rmtree(source)
    for kind, name in (("projector", "p"), ("ranker", "r")):
        (path / "models" / kind / "CURRENT").write_text(f"{name}\n")
    (path / "collection.json").write_text('{"name": "tiny", "format": 1}')
    build(BuildConfig(collection=path, index=CODES, recall=0.5, device="cpu"))
    stored(path, MORE)
    add(path, [MORE], Kits("cpu"))
    stored(path, "e")
    return path


def stored(path: Path, video: str) -> None:
    (features,) = (path / "features").iterdir()
    random = np.random.default_rng(sum(video.encode()))
    arrays = {name: random.normal(size=(11, WIDTH)) for name in STREAMS}
    with FeatureStore.open(features, "a") as store:
        store.append(video, arrays, f"file:///{video}.mp4", video, 11.0)


def linked(source: Path, target: Path) -> Path:
    """Copy a collection: what nobody writes in place as second names of the same files."""
    in_place = (".bin", ".jsonl", ".lock")

    def copy(one: str, other: str) -> None:
        if one.endswith(in_place):
            shutil.copy2(one, other)
        else:
            os.link(one, other)

    return Path(shutil.copytree(source, target, copy_function=copy))


def found(path: Path) -> object:
    """Return what the current version's index workers find, by video."""
    corpus = open_corpus(path)
    queries = np.random.default_rng(1).standard_normal((2, WIDTH)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    told = []
    for shard in corpus.version.shards:
        for hits in ShardOpener(shard.name, "cpu")(corpus).search(queries, 100):
            names = [corpus.catalogue.ids[video] for video in hits.videos]
            told.append((shard.name, names, hits.segments.tolist(), np.round(hits.scores, 4).tolist()))
    return told


def ranked(path: Path) -> object:
    """Return what a ranker worker makes of a text and of the videos of the current version."""
    models = Models.open(path, device="cpu")
    (query,) = models.encode(TEXTS[:1])
    return np.round(query.embedding, 4).tolist(), _rows(models.features, models.corpus.catalogue.ids)


def features(path: Path) -> object:
    """Return what the parts of the current version have of every video for the ranker."""
    corpus = open_corpus(path)
    parts = [FeatureMaps.open(part.directory) for part in corpus.parts]
    maps = FeatureMaps.of_parts(parts, [part.ordinals for part in corpus.parts], corpus.version.streams)
    return _rows(maps, corpus.catalogue.ids)


def _rows(maps: FeatureMaps, ids: Iterable[str]) -> object:
    return {
        video: [
            hashlib.sha256(np.asarray(maps.video(number, name)).tobytes()).hexdigest() for name in STREAMS
        ]
        for number, video in enumerate(ids)
    }
