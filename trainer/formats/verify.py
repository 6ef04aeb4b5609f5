"""Whether the files of a layout speak of the same videos and queries; the first names of what differs.

Files that say whose their values are, by video or by query, are compared by name: none may be missing, none
too many. Where a place means something the values at the places are compared:

    place in                means                           must be
    sorted video names      the number of a video           the same names in corpus, vidlen and seg_feats
    rows of CLIP features   seconds                         as many as the duration says, give or take one
    rows of clips           seconds / 1.5                   the same, and alike in video, subtitles and masks
    rows of seg_feats       the number of a segment         as many as vidlen and the frames say
    coarse predictions      the rank (verify_given)         in the order of their ranks, from 0
"""

import json
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, Mismatch
from trainer.collection.annotations import JudgedQuery, load_corpus, load_queries
from trainer.formats.arrays import Arrays, Folder
from trainer.formats.layout import SPLITS, Layout
from trainer.formats.names import check_names
from trainer.formats.sidecar import load_records
from trainer.formats.verify_given import check_given, refuse

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
    check_names(durations, "video", layout.path("corpus"))
    _check_once(layout.path("corpus"))
    queries = {split: load_queries(layout.path(split)) for split in SPLITS if layout.has(split)}
    if not queries:
        layout.need("val")
    notes: list[str] = []
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
        refuse(layout.path("subtitles"), apart, f"videos with clips unlike {layout.path('video').name}")
    if "subtitles" in clips:
        _check_masks(layout, clips["subtitles"])
    _check_segments(layout, frames, widths)
    _check_queries(layout, queries, durations, widths, notes)
    check_given(layout, queries, frames)
    if layout.has("videos"):
        _same_names(layout.path("videos"), load_records(layout.path("videos")), durations)
    if list(durations) != sorted(durations):
        notes.append(f"{layout.path('corpus').name} is not sorted; a video's number is its place when sorted")
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
    refuse(layout.path(file), odd, f"videos with rows unlike their duration, one every {step:g} s")


def _check_masks(layout: Layout, counts: Mapping[str, int]) -> None:
    """Refuse masks that are not of their video's rows; that is all they are looked at for."""
    with Arrays(layout.path("subtitles")) as arrays:
        odd = [
            f"{video} ({shape} for {counts[video]} rows)"
            for video, shape in arrays.masks.items()
            if video in counts and shape != (counts[video],)
        ]
    refuse(layout.path("subtitles"), odd, "videos with a mask of another length")


def _check_segments(layout: Layout, frames: Mapping[str, int], widths: dict[str, int]) -> None:
    """Compare segment counts and segment features with the frames."""
    expected = {video: -(-count // layout.length) for video, count in frames.items()}
    if layout.has("counts"):
        path = layout.path("counts")
        counts = _check_once(path)
        _same_names(path, counts, expected)
        odd = [
            f"{video} ({counts[video]} for {frames[video]} frames)"
            for video in expected
            if counts[video] != expected[video]
        ]
        refuse(path, odd, f"videos with another number of segments of {layout.length} s")
    if layout.has("segment_features"):
        path = layout.path("segment_features")
        folder = Folder(path)
        _same_names(path, folder.shapes, expected)
        widths["segment_features"] = folder.width(2)
        shapes = folder.shapes.items()
        odd = [f"{video} {shape}" for video, shape in shapes if shape[0] != expected[video]]
        refuse(path, odd, "videos with another number of segments")


def _check_queries(
    layout: Layout,
    queries: Mapping[str, list[JudgedQuery]],
    durations: Mapping[str, float],
    widths: Mapping[str, int],
    notes: list[str],
) -> None:
    check_same_text(queries)
    ids = {str(query.query_id) for rows in queries.values() for query in rows}
    for file, axes in (("queries", 1), ("tokens", 2)):
        with Arrays(layout.need(file)) as arrays:
            _cover(arrays, ids, "queries", notes)
            width = arrays.width(axes, ids)
        if file == "queries" and width != widths["clip"]:
            raise Mismatch(
                f"{layout.path(file)} has vectors of {width} numbers and {layout.path('clip')} of "
                f"{widths['clip']}; both must be of one encoder."
            )
    for split, rows in queries.items():
        strangers = {moment.video for query in rows for moment in query.moments} - durations.keys()
        refuse(layout.path(split), strangers, f"videos that {layout.path('corpus').name} lacks")


def _check_once(path: Path) -> Any:
    """Return an object of a JSON file; Mismatch for a name that is in it twice."""
    try:
        pairs = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{path} is not JSON, or nested too deeply; write {{video: number}}.") from error
    if not isinstance(pairs, list) or not all(isinstance(pair, tuple) for pair in pairs):
        raise InvalidInput(f"{path} is no object of videos; write {{video: number}}.")
    refuse(
        path, [name for name, count in Counter(name for name, _ in pairs).items() if count > 1], "names twice"
    )
    return dict(pairs)


def _cover(arrays: Arrays, names: Collection[str], what: str, notes: list[str]) -> None:
    """Refuse arrays that lack a name; note those that have more."""
    refuse(arrays.path, set(names) - arrays.shapes.keys(), f"{what} missing")
    more = arrays.shapes.keys() - set(names)
    if more:
        notes.append(f"{arrays.path.name}: {len(more)} {what} that nothing names were left out")


def _same_names(path: Path, found: Collection[str], expected: Collection[str]) -> None:
    refuse(path, set(expected) - set(found), "videos of the corpus missing")
    refuse(path, set(found) - set(expected), "videos that are not in the corpus")
