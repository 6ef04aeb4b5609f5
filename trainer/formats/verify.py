"""Whether the files of a layout speak of the same videos and queries; the first names of what differs."""

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import Mismatch
from engine.files import read_json
from trainer.annotations import JudgedQuery, load_corpus, load_queries
from trainer.formats.arrays import Arrays
from trainer.formats.layout import SPLITS, Layout
from trainer.formats.segments import load_segments

SHOWN = 3
FEATURES = ("clip", "video", "subtitles")


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. durations: of the corpus. widths: of the files of features. notes: for people."""

    durations: dict[str, float]
    queries: dict[str, list[JudgedQuery]]
    widths: dict[str, int]
    notes: list[str]


def verify(layout: Layout, tolerance: int = 1) -> Verified:
    """Read every file's names and shapes and compare; Mismatch names the first that differ, and how many.

    tolerance: how many rows a video's features may have more or fewer than its duration says.
    """
    durations = load_corpus(layout.need("corpus"))
    queries = {split: load_queries(layout.path(split)) for split in SPLITS if layout.has(split)}
    if not queries:
        layout.need("val")
    notes: list[str] = []
    frames: dict[str, int] = {}
    widths: dict[str, int] = {}
    clips: dict[str, dict[str, int]] = {}
    layout.need("clip")
    for file in FEATURES:
        if layout.has(file):
            with Arrays(layout.path(file)) as arrays:
                _cover(arrays, durations, "videos", notes)
                widths[file] = arrays.width(2, durations)
                clips[file] = {video: arrays.shapes[video][0] for video in durations}
    frames = clips["clip"]
    for file, counts in clips.items():
        _check_counts(layout, file, counts, durations, tolerance)
    if "video" in clips and "subtitles" in clips:
        pairs = {video: (clips["video"][video], clips["subtitles"][video]) for video in durations}
        apart = [video for video, (one, other) in pairs.items() if abs(one - other) > tolerance]
        _refuse(layout.path("subtitles"), apart, f"videos with clips unlike {layout.path('video').name}")
    _check_segments(layout, frames, widths)
    _check_queries(layout, queries, durations, notes)
    _check_kept(layout, queries, frames)
    return Verified(durations, queries, widths, notes)


def check_same_text(queries: Mapping[str, Iterable[JudgedQuery]]) -> None:
    """Refuse (Mismatch) a query id that means different sentences in different splits."""
    texts: dict[int, str] = {}
    for split, rows in queries.items():
        for query in rows:
            if texts.setdefault(query.query_id, query.query) != query.query:
                raise Mismatch(
                    f"query_id {query.query_id} is {query.query!r} in {split} and "
                    f"{texts[query.query_id]!r} elsewhere; give every query its own id."
                )


def _check_counts(
    layout: Layout, file: str, counts: Mapping[str, int], durations: Mapping[str, float], tolerance: int
) -> None:
    step = 1.0 if file == "clip" else layout.step
    odd = [
        f"{video} ({counts[video]} rows for {duration:g} s)"
        for video, duration in durations.items()
        if counts[video] < 1 or abs(counts[video] - math.ceil(duration / step)) > tolerance
    ]
    _refuse(layout.path(file), odd, f"videos with rows unlike their duration, one every {step:g} s")


def _check_segments(layout: Layout, frames: Mapping[str, int], widths: dict[str, int]) -> None:
    """Compare segment counts and segment features with the frames."""
    expected = {video: -(-count // layout.length) for video, count in frames.items()}
    if layout.has("counts"):
        path = layout.path("counts")
        counts = read_json(path)
        _same_names(path, counts, expected)
        odd = [
            f"{video} ({counts[video]} for {frames[video]} frames)"
            for video in expected
            if counts[video] != expected[video]
        ]
        _refuse(path, odd, f"videos with another number of segments of {layout.length} s")
    if layout.has("segment_features"):
        path = layout.path("segment_features")
        found = {file.stem: file for file in path.glob("*.npy")}
        _same_names(path, found, expected)
        shapes = {video: np.load(file, mmap_mode="r").shape for video, file in found.items()}
        odd = [
            f"{video} {shape}"
            for video, shape in shapes.items()
            if len(shape) != 2 or shape[0] != expected[video]
        ]
        _refuse(path, odd, "videos with another number of segments")
        widths["segment_features"] = next(iter(shapes.values()))[1]


def _check_queries(
    layout: Layout, queries: Mapping[str, list[JudgedQuery]], durations: Mapping[str, float], notes: list[str]
) -> None:
    check_same_text(queries)
    ids = {str(query.query_id) for rows in queries.values() for query in rows}
    for file, axes in (("queries", 1), ("tokens", 2)):
        with Arrays(layout.need(file)) as arrays:
            _cover(arrays, ids, "queries", notes)
            arrays.width(axes, ids)
    for split, rows in queries.items():
        strangers = {moment.video for query in rows for moment in query.moments} - durations.keys()
        _refuse(layout.path(split), strangers, f"videos that {layout.path('corpus').name} lacks")


def _check_kept(layout: Layout, queries: Mapping[str, list[JudgedQuery]], frames: Mapping[str, int]) -> None:
    """Compare what is only kept: segment annotations, coarse predictions, training samples."""
    ids = {split: {query.query_id for query in rows} for split, rows in queries.items()}
    for split in queries:
        path = layout.path(f"segments_{split}")
        if layout.has(f"segments_{split}"):
            given = load_segments(path)
            _refuse(path, map(str, given.keys() - ids[split]), f"queries that {split} lacks")
            places = {(sample.video, sample.segment) for rows in given.values() for sample in rows}
            outside = [
                f"{video}_{number}"
                for video, number in places
                if not 0 <= number * layout.length < frames.get(video, 0)
            ]
            _refuse(path, outside, "segments that no video has")
    for file, split in (("coarse_val", "val"), ("coarse_test", "test"), ("samples", "train")):
        if layout.has(file) and split in queries:
            value = read_json(layout.path(file))
            answers: Any = value["pos"] if file == "samples" else value
            _refuse(layout.path(file), answers.keys() - set(map(str, ids[split])), f"queries {split} lacks")


def _cover(arrays: Arrays, names: Collection[str], what: str, notes: list[str]) -> None:
    """Refuse arrays that lack a name; note those that have more."""
    _refuse(arrays.path, set(names) - arrays.shapes.keys(), f"{what} missing")
    more = arrays.shapes.keys() - set(names)
    if more:
        notes.append(f"{arrays.path.name}: {len(more)} {what} that nothing names were left out")


def _same_names(path: Path, found: Collection[str], expected: Collection[str]) -> None:
    _refuse(path, set(expected) - set(found), "videos of the corpus missing")
    _refuse(path, set(found) - set(expected), "videos that are not in the corpus")


def _refuse(path: Path, names: Iterable[str], what: str) -> None:
    ordered = sorted(names)
    if ordered:
        more = ", ..." if len(ordered) > SHOWN else ""
        raise Mismatch(f"{path}: {len(ordered)} {what}: {', '.join(ordered[:SHOWN])}{more}")
