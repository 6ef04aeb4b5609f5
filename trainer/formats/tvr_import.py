"""TVR-Ranking's features and judged queries into a collection; after it every command is the ordinary one."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import Mismatch
from engine.files import fingerprint, replacing, sha256
from trainer.collection.annotations import load_corpus
from trainer.collection.places import describe_collection
from trainer.formats.appending import append_all
from trainer.formats.arrays import ArrayReader, Arrays, Folder
from trainer.formats.layout import Layout
from trainer.formats.segments import KEPT, KEPT_RUNS, segment_file
from trainer.formats.sidecar import Sidecar, load_records, published, read_sidecar
from trainer.formats.splits import told, write_split
from trainer.formats.verify import Verified, verify
from trainer.progress import Progress
from workers.feature_store.store import FeatureStore, NewVideo, Stream
from workers.ranker.encoder.encoder import Encoder
from workers.ranker.encoder.known_queries import POOLED, TOKENS, text_key

# Two ids may share a sentence, and batches round differently; beyond this the features are of other texts.
SAME = 1e-3
NOT_ITS_TOKENS = "whose token states the imported ones are not: build with --ranker none"


@dataclass(frozen=True, slots=True)
class Imported:
    """What came in. videos, texts: all of the data; new_videos: those that were not there before."""

    collection: str
    encoder: str
    videos: int
    new_videos: int
    texts: int
    streams: dict[str, int]
    queries: dict[str, int]
    kept: list[str]
    notes: list[str]


def import_tvr_ranking(
    layout: Layout, collection: Path, *, encoder: str = "", device: str = "auto", tolerance: int = 1
) -> Imported:
    """Verify the whole layout, then copy it; a killed import goes on where it was.

    encoder: hub name or directory of the encoder that made the features, for sentences that did not come with
    them. tolerance: rows that a video may have more or fewer than its duration says.
    """
    found = verify(layout, tolerance)
    sidecar = read_sidecar(layout) or published(layout, found.widths)
    name = _fingerprint(layout, sidecar, found, encoder, device)
    if encoder and not sidecar.encoder:
        found.notes.append(f"sentences are encoded by {encoder}, {NOT_ITS_TOKENS}")
    describe_collection(collection)
    texts = _import_queries(layout, collection / "queries" / name, found, sidecar, name)
    source = str(Path(encoder).resolve()) if encoder and Path(encoder).is_dir() else encoder
    meta = {"encoder": sidecar.name, "source": source or f"queries/{name}", "fingerprint": name}
    features = collection / "features" / name
    with FeatureStore.ensure(features, sidecar.streams, sidecar.dtype, meta) as store:
        new = _import_features(layout, store, found, sidecar)
    replaced = []
    for split, queries in found.queries.items():
        own = layout.path(f"corpus_{split}")
        corpus = load_corpus(own) if own.is_file() else found.durations
        if write_split(collection, split, queries, corpus):
            replaced.append(split)
    kept = _keep_files(layout, collection)
    return Imported(
        collection=str(collection),
        encoder=name,
        videos=len(found.durations),
        new_videos=new,
        texts=texts,
        streams={stream: about.dim for stream, about in sidecar.streams.items()},
        queries={split: len(queries) for split, queries in found.queries.items()},
        kept=kept,
        notes=[*found.notes, *told(replaced)],
    )


def _fingerprint(layout: Layout, sidecar: Sidecar, found: Verified, encoder: str, device: str) -> str:
    """Return the name of the features' space: the encoder's own, or one that their query features give."""
    given = Encoder.load(encoder, device).fingerprint if encoder else ""
    if given and sidecar.encoder and given != sidecar.encoder:
        raise Mismatch(
            f"These features were made by encoder {sidecar.encoder}, {encoder} is {given}; "
            "name that one, or none."
        )
    if given or sidecar.encoder:
        return given or sidecar.encoder
    files = [sha256(layout.path(file)) for file in ("queries", "tokens")]
    widths = [f"{file}:{width}" for file, width in sorted(found.widths.items())]
    return fingerprint(*(part.encode() for part in ("tvr-ranking", sidecar.name, *files, *widths)))


def _import_features(layout: Layout, store: FeatureStore, found: Verified, sidecar: Sidecar) -> int:
    records = load_records(layout.path("videos"))
    with ExitStack() as stack:
        readers: dict[str, ArrayReader] = {}
        for file, stream in sidecar.files.items():
            if file == "segment_features":
                readers[stream] = Folder(layout.path(file))
            elif stream not in readers:
                readers[stream] = stack.enter_context(Arrays(layout.path(file)))
        names = sorted(found.durations)
        todo = [video for video in names if not _is_there(store, video, found.durations, records)]
        progress = stack.enter_context(Progress("videos", len(names), len(names) - len(todo), unit="videos"))
        videos = (_video(video, readers, found.durations, records.get(video)) for video in todo)
        return append_all(store, videos, progress, len(names) - len(todo))


def _is_there(
    store: FeatureStore, video: str, durations: Mapping[str, float], records: Mapping[str, Mapping[str, Any]]
) -> bool:
    """Whether an earlier import brought this video. Its rows are whole, or the store would not know it."""
    wanted = records[video]["duration"] if video in records else durations[video]
    return video in store and store.record(video).duration == wanted


def _video(
    video: str,
    readers: Mapping[str, ArrayReader],
    durations: Mapping[str, float],
    record: Mapping[str, Any] | None,
) -> NewVideo:
    arrays = {stream: reader[video] for stream, reader in readers.items()}
    if record is None:
        return NewVideo(video, arrays, duration=durations[video])
    # The layout wants both features of a clip; what the store had fewer of was filled up with zeros.
    arrays = {stream: rows[: record["streams"][stream]] for stream, rows in arrays.items()}
    return NewVideo(video, arrays, record["uri"], record["sha256"], record["duration"], record["info"])


def _import_queries(layout: Layout, path: Path, found: Verified, sidecar: Sidecar, name: str) -> int:
    """Key the features of all queries by their text; return how many texts there are."""
    queries = {query.query_id: query for rows in found.queries.values() for query in rows}
    texts: dict[str, list[int]] = {}
    for query in queries.values():
        texts.setdefault(query.query, []).append(query.query_id)
    with Arrays(layout.path("queries")) as pooled, Arrays(layout.path("tokens")) as tokens:
        one = next(iter(queries))
        streams = {
            POOLED: Stream(pooled.shapes[str(one)][0], 1.0),
            TOKENS: Stream(tokens.shapes[str(one)][1], 1.0),
        }
        meta = {"encoder": sidecar.name, "fingerprint": name}
        with FeatureStore.ensure(path, streams, "float32", meta) as store:
            todo = {text: ids for text, ids in texts.items() if text_key(text) not in store}
            done = len(texts) - len(todo)
            with Progress("queries", len(texts), done, unit="queries") as progress:
                append_all(store, _features(todo, pooled, tokens), progress, done)
    return len(texts)


def _features(texts: Mapping[str, list[int]], pooled: Arrays, tokens: Arrays) -> Iterator[NewVideo]:
    for text, ids in texts.items():
        rows = [pooled[str(query_id)] for query_id in ids]
        for query_id, row in zip(ids[1:], rows[1:], strict=True):
            if not np.allclose(row, rows[0], rtol=SAME, atol=SAME * float(np.abs(rows[0]).max())):
                raise Mismatch(
                    f"{pooled.path}: queries {ids[0]} and {query_id} are both {text!r} with other features; "
                    "their features must be of their text."
                )
        arrays = {POOLED: rows[0][None], TOKENS: tokens[str(ids[0])]}
        yield NewVideo(text_key(text), arrays, info={"text": text})


def _keep_files(layout: Layout, collection: Path) -> list[str]:
    """Copy given segment scores, coarse predictions and training samples; return their names."""
    wanted = {
        f"segments_{split}": collection / KEPT / segment_file(split, layout.top_k, layout.length)
        for split in ("train", "val", "test")
    }
    runs = ("coarse_val", "coarse_test", "samples")
    usual = replace(layout, overrides={})
    wanted |= {file: collection / KEPT_RUNS / usual.path(file).name for file in runs}
    kept = []
    for file, target in wanted.items():
        if layout.has(file):
            with replacing(target) as partial:
                shutil.copyfile(layout.path(file), partial)
            kept.append(target.name)
    return kept
