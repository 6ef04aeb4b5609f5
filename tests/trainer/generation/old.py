"""Collections of the format before versions: a generation with a manifest of format 1 or 2."""

import contextlib
import dataclasses
import hashlib
import json
import shutil
import sqlite3
from pathlib import Path

import numpy as np

from engine.corpus import Corpus, open_corpus
from engine.entries import Version
from engine.files import sha256
from trainer.collection.places import features_directory
from workers.feature_store.store import FeatureStore
from workers.index.part import DIRECTORY
from workers.ranker.stores.features import write_context
from workers.ranker.stores.merging import merge_encoded

NAME = "0123456789abcdef"
# Of a version, what its manifest had too.
KEPT = (
    "collection encoder projector ranker embedding_model dim segment_length factory quantizer_sha256 videos "
    "segments streams metric search settings"
).split()


def digest(value: dict[str, object]) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def as_generation(path: Path, number: int) -> Path:
    """Turn a built collection into one of before, of format `number`; return its generation."""
    corpus = open_corpus(path)
    generation = path / "generations" / NAME
    generation.mkdir(parents=True)
    write_catalogue(generation, corpus)
    for number_of_part, part in enumerate(corpus.parts):
        shard = generation / f"shard-{number_of_part:05d}"
        shutil.copytree(part.directory / DIRECTORY, shard)
        (shard / "said.npy").unlink(missing_ok=True)
        videos = np.load(shard / "segment_videos.npy")
        (shard / "segment_videos.npy").unlink()
        np.save(shard / "segment_videos.npy", part.ordinals[videos])
    store = FeatureStore.open(features_directory(path, corpus.version.encoder.fingerprint))
    write_context(generation / "context", store, corpus.catalogue.ids)
    if corpus.version.contexts:
        order = np.argsort(np.concatenate([part.ordinals for part in corpus.parts]))
        kept = [(part.directory, part.living) for part in corpus.parts]
        merge_encoded(generation / "encoded", kept, order)
    write_manifest(generation, corpus.version, number)
    for folder in ("parts", "versions", "quantizers"):
        shutil.rmtree(path / folder)
    (path / "CURRENT").write_text(NAME + "\n")
    return generation


def write_catalogue(generation: Path, corpus: Corpus) -> None:
    table = """create table videos (ordinal integer primary key, id text not null unique, uri text not null,
    duration real not null, segments integer not null, shard integer not null) strict"""
    of = corpus.catalogue
    columns = of.uris, of.durations.tolist(), of.segments.tolist(), of.shards.tolist()
    with contextlib.closing(sqlite3.connect(generation / "catalog.sqlite")) as database, database:
        database.execute(table)
        rows = zip(range(len(of)), of.ids, *columns, strict=True)
        database.executemany("insert into videos values (?, ?, ?, ?, ?, ?)", rows)


def write_manifest(generation: Path, version: Version, number: int) -> None:
    files = {
        str(file.relative_to(generation)): {"sha256": sha256(file), "bytes": file.stat().st_size}
        for file in sorted(generation.rglob("*"))
        if file.is_file()
    }
    shards = [{"name": s.name, "videos": s.videos, "segments": s.segments} for s in version.shards]
    value = {name: found for name, found in dataclasses.asdict(version).items() if name in KEPT}
    value |= {"format": number, "id": NAME, "created": "2026-01-01", "shards": shards, "files": files}
    if number == 1:
        for name in ("search", "settings"):
            del value[name]
        del value["encoder"]["path"]
    value |= {"sha256": digest(value)} if number == 2 else {}
    (generation / "manifest.json").write_text(json.dumps(value, indent=1))
