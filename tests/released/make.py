"""Writes a tiny collection and a topology as this release does: `python -m tests.released.make`.

They go to tests/released/VERSION, with what searches answer. Run it once, before a release is tagged, and
commit the folder; later releases open it (test_released.py). What is there already is never written again.
"""

import contextlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from engine import merge, versions
from engine.corpus import open_corpus
from engine.proposals import propose
from engine.queries import SearchOptions
from engine.ranking import ordered
from engine.types import RankQuery
from tests.workers.ranker.factories import TEXTS, WIDTH, tiny
from trainer.collection.places import keep_encoder
from trainer.generation.build import BuildConfig, build
from trainer.library.adding import add
from trainer.library.deleting import delete
from trainer.library.kits import Kits
from workers.feature_store.store import FeatureStore
from workers.index.shard import ShardOpener
from workers.ranker.models import Models

HERE = Path(__file__).parent
BUILT, ADDED, DELETED = {"a": 40, "b": 25, "c": 9, "d": 14}, "e", "c"
TOP = 50


def main() -> int:
    """Write the folder of the installed release; return the exit code."""
    target = HERE / version("spr-engine")
    if target.exists():
        print(f"{target} is there already, and what a release wrote is never written again", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / target.name
        folder.mkdir()
        write(folder)
        shutil.copytree(folder, target)
    return 0


def write(folder: Path) -> None:
    """Write a collection of two shards that was built, added to and deleted from; answers; a topology."""
    collection = folder / "collection"
    with _inside(folder):
        _models_and_features(Path("collection"))
    build(BuildConfig(collection=collection, shards=2, device="cpu"))
    _store(collection, ADDED, 11)
    add(collection, [ADDED], Kits("cpu"))
    delete(collection, [DELETED])
    for lock in (*collection.rglob("lock"), *collection.rglob("*.lock")):
        lock.unlink()
    golden = {
        "version": versions.current(collection),
        "answers": {text: answers(collection, text) for text in TEXTS},
    }
    (folder / "golden.json").write_text(json.dumps(golden, indent=1) + "\n")
    shutil.copy(HERE.parents[1] / "deploy" / "topology.example.toml", folder / "topology.toml")


def answers(collection: Path, text: str) -> list[dict[str, Any]]:
    """Return the moments that a search finds, best first, by the workers' own code in one process."""
    corpus, models = open_corpus(collection), Models.open(collection, device="cpu")
    (query,) = models.encode([text])
    found = [
        ShardOpener(shard.name, "cpu")(corpus).search(query.embedding[None], TOP)[0]
        for shard in corpus.version.shards
    ]
    catalogue, length = corpus.catalogue, corpus.version.segment_length
    proposals = propose(merge.top_k(found, TOP), catalogue.durations, length, SearchOptions().rule)
    (ranked,) = models.ranker.rank_many([RankQuery.of(query, proposals)], models.features)
    moments = ordered(proposals, ranked)
    return [
        {"video": catalogue.ids[video], "span": span, "score": score}
        for video, span, score in zip(
            moments.videos.tolist(), moments.spans.tolist(), moments.scores.tolist(), strict=True
        )
    ]


@contextlib.contextmanager
def _inside(folder: Path) -> Iterator[None]:
    """Work in a folder: paths that files note are relative then, and name no machine's."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _models_and_features(collection: Path) -> None:
    made = tiny(collection, trained=True, videos=BUILT)
    source, features = collection / "models" / "encoder" / "tiny", made.store.path
    meta = {"encoder": "tiny", "source": "tiny", "fingerprint": features.name}
    FeatureStore.ensure(features, made.store.streams, "float16", meta).close()
    keep_encoder(collection, source, features.name, "tiny")
    shutil.rmtree(source)
    for kind, name in (("projector", "p"), ("ranker", "r")):
        (collection / "models" / kind / "CURRENT").write_text(f"{name}\n")
    (collection / "collection.json").write_text('{"name": "tiny", "format": 1}')


def _store(collection: Path, video: str, seconds: int) -> None:
    (features,) = (collection / "features").iterdir()
    random = np.random.default_rng(1)
    arrays = {name: random.normal(size=(seconds, WIDTH)) for name in ("frames", "subtitles")}
    with FeatureStore.open(features, "a") as store:
        store.append(video, arrays, f"file:///{video}.mp4", video, float(seconds))


if __name__ == "__main__":
    sys.exit(main())
