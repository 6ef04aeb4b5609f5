"""Whether the optional files of a layout fit the judged queries: segments, coarse predictions, samples.

All are matched by query id, pair id and video name. Of a coarse prediction the place is its rank: the
published stage 3 takes the list as it is, so a list in another order is refused.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from engine.errors import InvalidInput, Mismatch
from engine.files import MALFORMED, read_json
from trainer.collection.annotations import JudgedQuery
from trainer.formats.layout import Layout
from trainer.formats.samples import Samples, load_samples
from trainer.formats.segments import load_segments

SHOWN = 3


def check_given(layout: Layout, queries: Mapping[str, list[JudgedQuery]], frames: Mapping[str, int]) -> None:
    """Compare all that is there; Mismatch names the first that differ. frames: of every video."""
    for split, rows in queries.items():
        if layout.has(f"segments_{split}"):
            _check_segments(layout.path(f"segments_{split}"), split, rows, frames, layout.length)
        if split != "train" and layout.has(f"coarse_{split}"):
            _check_coarse(layout.path(f"coarse_{split}"), split, rows, frames)
    if "train" in queries and layout.has("samples"):
        path = layout.path("samples")
        _check_samples(path, load_samples(path), queries["train"], frames)


def _check_segments(
    path: Path, split: str, queries: Sequence[JudgedQuery], frames: Mapping[str, int], length: int
) -> None:
    given = load_segments(path)
    same_queries(path, map(str, given), queries, split)
    texts = {query.query_id: query.query for query in queries}
    entries = [(int(entry["query_id"]), entry.get("query")) for entry in read_json(path)]
    twice = [str(query) for query, count in Counter(query for query, _ in entries).items() if count > 1]
    refuse(path, twice, "queries given twice")
    other = [
        f"{query} ({text!r} for {texts[query]!r})"
        for query, text in entries
        if text is not None and text != texts[query]
    ]
    refuse(path, other, f"queries with other sentences than in {split}")
    places = {(sample.video, sample.segment) for rows in given.values() for sample in rows}
    outside = [
        f"{video}_{number}" for video, number in places if not 0 <= number * length < frames.get(video, 0)
    ]
    refuse(path, outside, "segments that no video has")


def _check_coarse(path: Path, split: str, queries: Sequence[JudgedQuery], frames: Collection[str]) -> None:
    try:
        lists = {
            str(name): [(str(row["video_name"]), *_span(row), int(row["moment_rank"])) for row in rows]
            for name, rows in read_json(path).items()
        }
    except MALFORMED as error:
        raise InvalidInput(
            f"{path} holds no coarse predictions ({error!r}); it is an object of lists by query_id."
        ) from error
    same_queries(path, lists, queries, split)
    _check_videos(path, (row[0] for rows in lists.values() for row in rows), frames)
    odd = [found for name, rows in lists.items() if (found := _misplaced(name, rows))]
    refuse(path, odd, "queries whose predictions are not in the order of moment_rank, from 0 on")


def _misplaced(name: str, rows: Sequence[tuple[str, float, float, int]]) -> str:
    """Return the first place where a list is not in the order of its ranks, "" if it is."""
    ordered = sorted(rows, key=lambda row: row[-1])
    if rows and ordered[0][-1] != 0:
        return f"query {name} begins with rank {ordered[0][-1]}"
    for place, (found, wanted) in enumerate(zip(rows, ordered, strict=True)):
        if found[-1] != wanted[-1]:
            return f"query {name} has {found[0]} (rank {found[-1]}) for {wanted[0]} at place {place}"
    return ""


def _check_samples(
    path: Path, samples: Samples, queries: Sequence[JudgedQuery], frames: Collection[str]
) -> None:
    same_queries(path, map(str, samples.positives), queries, "train")
    if samples.negatives:
        same_queries(path, map(str, samples.negatives), queries, "train")
    _check_videos(path, samples.videos, frames)
    strangers, others = [], []
    for query in queries:
        counts = Counter(moment.pair_id for moment in query.moments)
        twice = [f"{query.query_id}/{pair}" for pair, count in counts.items() if count > 1]
        refuse(path, twice, "pairs (query/pair_id) cannot be told apart")
        videos = {moment.pair_id: moment.video for moment in query.moments}
        for pair, rows in samples.positives[query.query_id].items():
            name = f"{query.query_id}/{pair}"
            if pair not in videos:
                strangers.append(name)
            others += [f"{name} ({row.video})" for row in rows if row.video != videos.get(pair, row.video)]
    refuse(path, strangers, "pairs (query/pair_id) that train lacks")
    refuse(path, others, "positives (query/pair_id) of another video than their moment's")


def _check_videos(path: Path, found: Iterable[str], frames: Collection[str]) -> None:
    refuse(path, set(found) - set(frames), "videos that are not in the corpus")


def same_queries(path: Path, found: Iterable[str], queries: Sequence[JudgedQuery], split: str) -> None:
    """Refuse an optional file that has more or fewer queries than its split."""
    names, expected = set(found), {str(query.query_id) for query in queries}
    refuse(path, names - expected, f"queries that {split} lacks")
    refuse(path, expected - names, f"queries of {split} missing", "mend it, or take it away")


def refuse(path: Path, names: Iterable[str], what: str, remedy: str = "") -> None:
    """Raise Mismatch with the first three names and how many there are; do nothing for none."""
    ordered = sorted(names)
    if ordered:
        more = ", ..." if len(ordered) > SHOWN else ""
        advice = f"; {remedy}" if remedy else ""
        raise Mismatch(f"{path}: {len(ordered)} {what}: {', '.join(ordered[:SHOWN])}{more}{advice}")


def _span(row: Mapping[str, Any]) -> tuple[float, float]:
    start, end = row["timestamp"]
    return float(start), float(end)
