"""The files of an export, one function a kind."""

import json
import shutil
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engine.files import replacing, write_json
from trainer.collection.annotations import save_corpus, save_queries
from trainer.collection.encoders import encoder_of
from trainer.collection.places import FRAMES
from trainer.formats.arrays import MASK, writing
from trainer.formats.layout import SEGMENTS
from trainer.formats.outgoing import Outgoing
from trainer.formats.segments import KEPT, KEPT_RUNS, segment_entries, segment_file
from trainer.formats.sidecar import Sidecar, save_records, write_sidecar
from trainer.formats.tvr_samples import Searched
from trainer.progress import Progress
from workers.feature_store.store import Stream
from workers.ranker.projection.projector import MeanPool
from workers.ranker.projection.segments import segment_inputs, video_rows

VIDEOS_AT_ONCE = 64
# Of a split's segments; beyond it neighbours are nearly all retrieved.
MOST_SHARE, FAIR_SHARE = 0.5, 0.3


def write_features(export: Outgoing) -> None:
    """Write frames, clips and subtitles; subtitles as many rows as clips, zeros where there are none."""
    store, layout = export.store, export.layout
    video, subtitles = export.streams
    spoken = store.streams.get(subtitles, Stream(store.streams[video].dim, store.streams[video].step))
    with (
        writing(layout.path("clip")) as clip,
        writing(layout.path("video")) as clips,
        writing(layout.path("subtitles")) as texts,
        Progress("features", len(export.durations), unit="videos") as progress,
    ):
        for done, name in enumerate(export.durations, start=1):
            rows = store.rows(name, video)
            clip.put(name, store.rows(name, FRAMES))
            clips.put(name, rows)
            said = np.zeros((len(rows), spoken.dim), np.float32)
            if subtitles in store.streams:
                own = store.rows(name, subtitles)
                said = np.concatenate([own, said[len(own) :]]).astype(np.float32)
            texts.put(name, said)
            texts.put(name + MASK, np.asarray(said.any(axis=1)))
            progress.update(done)


def write_segments(export: Outgoing) -> int:
    """Write how many segments videos have, and their features; return the sum."""
    length = export.layout.length
    frames = {video: export.store.record(video).streams[FRAMES][1] for video in export.durations}
    counts = {video: -(-count // length) for video, count in frames.items()}
    write_json(export.layout.path("counts"), counts)
    folder = export.layout.path("segment_features")
    folder.mkdir(parents=True)
    with Progress("segments", len(counts), unit="videos") as progress:
        for done, (video, vectors) in enumerate(_segment_features(export), start=1):
            np.save(folder / f"{video}.npy", vectors)
            progress.update(done)
    return sum(counts.values())


def write_projector(export: Outgoing, notes: list[str]) -> None:
    """Write the projector of the segment features as the published stage 1 keeps it; queries need it too."""
    projector = export.projector
    if export.given_segments or isinstance(projector, MeanPool):
        return
    known = {
        name: value.detach().cpu().clone()
        for name, value in projector.state_dict().items()
        if not name.startswith("subtitle_proj.")
    }
    with replacing(export.layout.path("projector")) as partial_path:
        torch.save({"model_state_dict": known}, partial_path)
    if projector.config.subtitles or projector.config.around:
        notes.append(
            f"{export.layout.path('projector').name} projects queries to seg_feats; its segments read "
            "subtitles or surroundings, which the published stage 1 does not: extract none with it"
        )


def _segment_features(export: Outgoing) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Yield the un-normalised segment features of every video."""
    videos = list(export.durations)
    if export.given_segments:
        for video in videos:
            yield video, np.asarray(export.store.rows(video, SEGMENTS), np.float32)
        return
    projector = export.projector
    for first in range(0, len(videos), VIDEOS_AT_ONCE):
        names = videos[first : first + VIDEOS_AT_ONCE]
        rows = [video_rows(projector.streams, partial(export.store.rows, name)) for name in names]
        inputs = [
            segment_inputs(np.asarray(part, np.float32), export.layout.length, projector.around)
            for part in rows
        ]
        with torch.inference_mode():
            batch = torch.from_numpy(np.concatenate(inputs)).to(export.device)
            vectors = projector.segments(batch).float().cpu().numpy()
        yield from zip(names, np.split(vectors, np.cumsum([len(part) for part in inputs])[:-1]), strict=True)


def write_queries(export: Outgoing) -> None:
    """Write the features of all queries by their id."""
    queries = {query.query_id: query.query for rows in export.queries.values() for query in rows}
    with writing(export.layout.path("queries")) as pooled, writing(export.layout.path("tokens")) as tokens:
        for query_id, text in queries.items():
            pooled.put(str(query_id), export.features.pooled([text])[0])
            tokens.put(str(query_id), export.features.tokens(text))


def write_annotations(export: Outgoing, notes: list[str]) -> None:
    """Write judged queries, corpora and segment scores, the kept ones where there are some."""
    layout = export.layout
    save_corpus(layout.path("corpus"), export.durations)
    for split, queries in export.queries.items():
        save_queries(layout.path(split), queries)
        save_corpus(layout.path(f"corpus_{split}"), export.corpora[split])
        kept = export.collection / KEPT / segment_file(split, layout.top_k, layout.length)
        if not export.keeps(kept) or not _copied(kept, layout.path(f"segments_{split}")):
            entries = segment_entries(queries, layout.length, export.durations)
            write_json(layout.path(f"segments_{split}"), entries)
        absent = export.corpora[split].keys() - export.durations.keys()
        if absent:
            notes.append(f"{split}: {len(absent)} videos of the corpus have no features and were left out")


def write_kept(export: Outgoing) -> None:
    """Copy all given files that are not there yet, those of another length, context or top_k too."""
    folders = {KEPT: export.layout.path("segments_val"), KEPT_RUNS: export.layout.path("coarse_val")}
    for kept, place in folders.items():
        for path in sorted((export.collection / kept).glob("*.json")):
            if export.keeps(path) and not (place.parent / path.name).exists():
                _copied(path, place.parent / path.name)


def write_proposals(export: Outgoing, notes: list[str]) -> None:
    """Write coarse predictions of val and test and training samples where none are kept."""
    layout = export.layout
    for split in export.queries:
        file = "samples" if split == "train" else f"coarse_{split}"
        if layout.path(file).exists():
            continue
        videos = [video for video in export.corpora[split] if video in export.durations]
        if not videos:
            notes.append(f"{split}: no video of its corpus has features, so there are no proposals")
            continue
        _dump(layout.path(file), _proposals(export, split, videos, notes))


def _proposals(export: Outgoing, split: str, videos: list[str], notes: list[str]) -> dict[str, Any]:
    """Return coarse predictions of val and test, samples of train."""
    searched = Searched.of(export.store, videos, export.durations, export.projector, export.device)
    queries = export.queries[split]
    depth, rule, segments = export.options.depth, export.options.rule, len(searched.retrieval.vectors)
    if depth > MOST_SHARE * segments and rule.kind != "peaks":
        fewer = f"--depth {max(1, round(FAIR_SHARE * segments))}, or --proposals peaks:1"
        notes.append(
            f"{split}: {min(depth, segments)} of {segments} segments are retrieved a query, so proposals "
            f"join to whole videos; take fewer with {fewer}"
        )
    found = searched.proposals(queries, export.features, export.projector, export.device, depth, rule)
    positives: dict[str, Any] = {}
    negatives: dict[str, Any] = {}
    with Progress(f"proposals of {split}", len(queries), unit="queries") as progress:
        for done, (query, proposals) in enumerate(found, start=1):
            name = str(query.query_id)
            if split == "train":
                samples = searched.samples(
                    query, export.uncut[query.query_id], proposals, export.layout.context
                )
                positives[name], negatives[name] = samples
            else:
                positives[name] = searched.entries(proposals)
            progress.update(done)
    return {"pos": positives, "neg": negatives} if split == "train" else positives


def write_records(export: Outgoing) -> None:
    """Write what the layout has no place for; last, so that it says that the export is whole."""
    store, (video, subtitles) = export.store, export.streams
    files = {"clip": FRAMES, "video": video, "subtitles": subtitles}
    if export.given_segments:
        files["segment_features"] = SEGMENTS
    kept = {stream for stream in files.values() if stream in store.streams}
    save_records(export.layout.path("videos"), (store.record(video) for video in export.durations))
    sidecar = Sidecar(
        encoder=encoder_of(store),
        name=str(store.meta.get("encoder", "")),
        source=str(store.meta.get("source", "")),
        dtype=store.dtype.name,
        streams={name: stream for name, stream in store.streams.items() if name in kept},
        files={file: stream for file, stream in files.items() if stream in kept},
    )
    write_sidecar(export.layout, sidecar)


def _copied(source: Path, target: Path) -> bool:
    """Copy a file that the collection keeps; False where it keeps none."""
    if source.is_file():
        with replacing(target) as partial:
            shutil.copyfile(source, partial)
    return source.is_file()


def _dump(path: Path, value: Mapping[str, Any]) -> None:
    """Write compact JSON: these files are large."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8") as file:
        json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
