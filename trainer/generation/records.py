"""What the feature store says of a part's videos, kept in the part: from it a snapshot brings the store back.

    records.jsonl      a line of the store's own notes (meta), then a line a video, by id

A part holds the features themselves as the ranker's context, row for row.
"""

import contextlib
import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine import parts
from engine.corpus import Corpus, PartOfVersion, open_corpus
from engine.entries import PartEntry, Version
from engine.errors import SprError
from engine.files import sync
from workers.feature_store.store import FeatureStore, NewVideo, Stream
from workers.ranker.stores.features import DIRECTORY

RECORDS = "records.jsonl"
_BATCH = 64


def write_records(building: Path, store: FeatureStore, ids: Sequence[str]) -> None:
    """Write what a store says of videos `ids`, sorted, into a part that is being built; synced."""
    records = [store.record(video) for video in ids]
    lines = [
        {"id": r.id, "uri": r.uri, "sha256": r.sha256, "duration": r.duration, "info": r.info}
        for r in records
    ]
    _write(building / RECORDS, store.meta, lines)


def write_known(building: Path, features: Path, ids: Sequence[str]) -> None:
    """Write what the store in `features` says of videos `ids`, if it is sound and knows all of them."""
    with contextlib.suppress(SprError):
        write_records(building, FeatureStore.open(features), ids)


def merge_records(building: Path, sources: Iterable[tuple[Path, Sequence[str]]]) -> None:
    """Write the records of some videos of several parts; sources: (part's directory, ids to keep).

    Nothing where a part has none: it was migrated from an older format.
    """
    meta: Mapping[str, Any] = {}
    lines: list[dict[str, Any]] = []
    for directory, ids in sources:
        if not (directory / RECORDS).is_file():
            return
        meta, found = _read(directory / RECORDS)
        wanted = set(ids)
        lines += [line for line in found if line["id"] in wanted]
    _write(building / RECORDS, meta, sorted(lines, key=lambda line: str(line["id"])))


def records_of(collection: Path, listed: Iterable[PartEntry]) -> list[dict[str, Any]] | None:
    """Return what is noted of the living videos of parts; None where one of them has no records."""
    found: list[dict[str, Any]] = []
    for entry in listed:
        path = parts.directory(collection, entry.id) / RECORDS
        if not path.is_file():
            return None
        _, lines = _read(path)
        gone = set(entry.deleted_videos().tolist())
        found += [line for number, line in enumerate(lines) if number not in gone]
    return found


def restore_features(collection: Path, version: Version) -> int:
    """Make the feature store of a version's encoders again, if there is none; return how many videos it has.

    Parts without records give none: their videos stay searchable, and are ingested anew to build again.
    """
    path = collection / "features" / version.features
    if (path / "store.json").exists():
        return 0
    partial = path.with_name(f".{path.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    corpus = open_corpus(collection, version.id)
    living = [part for part in corpus.parts if (part.directory / RECORDS).is_file()]
    if not living:
        return 0
    meta, _ = _read(living[0].directory / RECORDS)
    streams = {name: Stream(entry.dim, entry.step) for name, entry in version.streams.items()}
    dtype = next(iter(version.streams.values())).dtype
    with FeatureStore.create(partial, streams, dtype, meta) as store:
        for part in living:
            _append(store, corpus, part)
        count = len(store)
    if path.exists():
        shutil.rmtree(path)
    partial.rename(path)
    sync(path.parent)
    return count


def _append(store: FeatureStore, corpus: Corpus, part: PartOfVersion) -> None:
    folder = part.directory / DIRECTORY
    rows = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in store.streams}
    offsets = {name: np.load(folder / f"{name}.offsets.npy") for name in store.streams}
    _, lines = _read(part.directory / RECORDS)
    living = part.living.tolist()
    for begin in range(0, len(living), _BATCH):
        videos = []
        for number in living[begin : begin + _BATCH]:
            line = lines[number]
            arrays = {name: rows[name][offsets[name][number] : offsets[name][number + 1]] for name in rows}
            videos.append(
                NewVideo(line["id"], arrays, line["uri"], line["sha256"], line["duration"], line["info"])
            )
        store.extend(videos)


def _write(path: Path, meta: Mapping[str, Any], lines: Iterable[Mapping[str, Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for line in ({"meta": dict(meta)}, *lines):
            file.write(json.dumps(line, ensure_ascii=True) + "\n")
    sync(path)


def _read(path: Path) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    head, *lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return head["meta"], lines
