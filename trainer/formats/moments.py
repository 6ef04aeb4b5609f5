"""The JSON lines of QVHighlights and moment_detr, which most single-video moment retrieval uses.

    annotations    {qid, query, vid, duration, relevant_windows: [[start, end], ...],
                    relevant_clip_ids: [...], saliency_scores: [[4, 3, 2], ...]}
    predictions    {qid, vid, pred_relevant_windows: [[start, end, score], ...], pred_exist_score}; the scores
                   may be missing, the last says how sure a model is that there is any window

Every relevant window becomes a judged moment of similarity 1. Its relevance is the mean saliency (0..4) over
the clips whose middle lies in it, at least 1; a constant grade without saliency; none in a training split.
"""

import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.errors import InvalidInput
from engine.files import MALFORMED
from trainer.collection.annotations import JudgedQuery, check_query
from trainer.collection.checks import check_duration, check_span
from trainer.formats.lines import read_lines
from trainer.formats.splits import write_split
from workers.feature_store.store import FeatureStore

BEST, LOWEST = 4.0, 1.0
CLIP = 2.0


@dataclass(frozen=True, slots=True)
class MomentAnnotations:
    """Judged queries, `{video: seconds}`, and how many windows were left out or cut.

    empty: windows without length inside their video, left out. cut: windows that ended after their video.
    replaced: whether an import took the place of other queries of the split.
    """

    queries: list[JudgedQuery]
    durations: dict[str, float]
    empty: int
    cut: int
    replaced: bool = False

    @property
    def notes(self) -> list[str]:
        """What a person should know of the import, a sentence each."""
        told = (
            (self.replaced, "the queries that this split had were replaced"),
            (self.empty, f"{self.empty} windows without length inside their video were left out"),
            (self.cut, f"{self.cut} windows ended after their video and were cut at its end"),
        )
        return [note for count, note in told if count]


def load_moments(
    path: Path, *, grade: float = BEST, clip: float = CLIP, judged: bool = True
) -> MomentAnnotations:
    """Read annotations. grade: relevance without saliency. clip: seconds a saliency score stands for.

    NotFound for a missing file; InvalidInput names the line and what is wrong with it.
    """
    queries: dict[int, JudgedQuery] = {}
    durations: dict[str, float] = {}
    empty = cut = 0
    for where, line in read_lines(path):
        row = _row(where, line, clip)
        if row.query_id in queries:
            raise InvalidInput(f"{where}: qid {row.query_id} appears twice; give every query its own.")
        if durations.setdefault(row.video, row.duration) != row.duration:
            raise InvalidInput(
                f"{where}: {row.video} lasts {row.duration:g} s here and {durations[row.video]:g} s above."
            )
        spans = [(start, min(end, row.duration)) for start, end in row.windows if start < row.duration]
        spans = [(start, end) for start, end in spans if start < end]
        empty += len(row.windows) - len(spans)
        cut += sum(start < row.duration < end for start, end in row.windows)
        grades = [_grade(row.saliency, start, end, grade) if judged else None for start, end in spans]
        queries[row.query_id] = check_query(_entry(row, spans, grades), where)
    return MomentAnnotations(list(queries.values()), durations, empty, cut)


class _Row(NamedTuple):
    """One line. windows: (start, end). saliency: the mean score of a clip by its middle. All in seconds."""

    query_id: int
    query: Any
    video: str
    duration: float
    windows: list[tuple[float, float]]
    saliency: dict[float, float]


def _row(where: str, line: Mapping[str, Any], clip: float) -> _Row:
    try:
        video = _name(line["vid"])
        return _Row(
            query_id=_query_id(line["qid"]),
            query=line["query"],
            video=video,
            duration=check_duration(line["duration"], f"{where}: duration of {video!r}"),
            windows=[
                check_span(window, f"{where}: relevant window", empty=True)
                for window in line.get("relevant_windows") or []
            ],
            saliency=_saliency(line, clip),
        )
    except MALFORMED as error:
        raise InvalidInput(
            f"{where} is no query ({_reason(error)}); it has qid, query, vid, duration, relevant_windows."
        ) from error


def _entry(row: _Row, spans: Sequence[tuple[float, float]], grades: Sequence[float | None]) -> dict[str, Any]:
    """Return a query as annotation files have it, for the same check."""
    moment = {"video_name": row.video, "duration": row.duration, "caption": row.query, "similarity": 1.0}
    moments = [
        moment | {"pair_id": number, "timestamp": list(span), "relevance": relevance}
        for number, (span, relevance) in enumerate(zip(spans, grades, strict=True))
    ]
    return {"query_id": row.query_id, "query": row.query, "relevant_moment": moments}


def import_moments(
    path: Path, collection: Path, split: str, *, grade: float = BEST, clip: float = CLIP
) -> MomentAnnotations:
    """Make the file a split of the collection's annotations; InvalidInput for videos without features.

    A collection without any features takes every video. A refused file leaves the annotations as they were.
    """
    found = load_moments(path, grade=grade, clip=clip, judged=split != "train")
    if not found.queries:
        raise InvalidInput(f"{path} holds no query; name a file of JSON lines.")
    stores = sorted((collection / "features").glob("*/store.json"))
    known = {video for header in stores for video in FeatureStore.open(header.parent).ids()}
    strangers = sorted(found.durations.keys() - known)
    if stores and strangers:
        raise InvalidInput(
            f"{path} names {len(strangers)} videos without features in {collection}, such as "
            f"{', '.join(strangers[:3])}; ingest them first."
        )
    replaced = write_split(collection, split, found.queries, found.durations)
    return replace(found, replaced=replaced)


Window = tuple[str, float, float, float | None]


def load_predictions(path: Path) -> dict[int, list[Window]]:
    """Return (video, start, end, score or None) of every query, best first.

    Windows with scores are sorted by them, equal ones as in the file: a score says more of what a model meant
    than a place. Windows without scores stay in their order.
    """
    answers: dict[int, list[Window]] = {}
    for where, row in read_lines(path):
        try:
            query_id, video = _query_id(row["qid"]), _name(row["vid"])
            windows = [_window(video, values, where) for values in row["pred_relevant_windows"]]
        except MALFORMED as error:
            raise InvalidInput(
                f"{where} is no prediction ({_reason(error)}); it has qid, vid, "
                "pred_relevant_windows [[start, end, score], ...]."
            ) from error
        if query_id in answers:
            raise InvalidInput(f"{where}: qid {query_id} appears twice; predict every query once.")
        answers[query_id] = _best_first(windows, where)
    return answers


def load_existence(path: Path) -> dict[int, float]:
    """Return the `pred_exist_score` of every query whose line has one; InvalidInput for what is no number."""
    found = {}
    for where, row in read_lines(path):
        if "pred_exist_score" in row:
            try:
                query, (score,) = _query_id(row["qid"]), _numbers([row["pred_exist_score"]])
            except MALFORMED as error:
                raise InvalidInput(f"{where}: pred_exist_score is no number ({_reason(error)}).") from error
            if not 0 <= score <= 1:
                raise InvalidInput(f"{where}: pred_exist_score is {score:g}; write a probability, 0 to 1.")
            found[query] = score
    return found


def _query_id(value: Any) -> int:
    """Return a query's number, which some files write as a text; ValueError for a fraction or a word."""
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,18}", value):
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 10**18:
        raise ValueError(f"qid is {reprlib.repr(value)}, not an integer of at most 18 digits")
    return value


def _name(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError(f"vid is {reprlib.repr(value)}, not a video's name")
    return str(value)


def _numbers(values: Any) -> list[float]:
    numbers = [float(value) for value in values if not isinstance(value, str | bool)]
    if not numbers or len(numbers) != len(values) or not all(map(math.isfinite, numbers)):
        raise ValueError(f"{reprlib.repr(values)} is not all finite numbers")
    return numbers


def _window(video: str, values: Any, where: str) -> Window:
    if not isinstance(values, list) or len(values) not in (2, 3):
        raise ValueError(f"{reprlib.repr(values)} is no window")
    start, end = check_span(values[:2], f"{where}: predicted window", empty=True)
    return video, start, end, _numbers(values)[2] if len(values) == 3 else None


def _reason(error: Exception) -> str:
    if isinstance(error, TypeError):
        return "a value is of another kind than it should be"
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _best_first(windows: list[Window], where: str) -> list[Window]:
    scores = [score for _, _, _, score in windows if score is not None]
    if not scores:
        return windows
    if len(scores) < len(windows):
        raise InvalidInput(f"{where}: {len(windows) - len(scores)} of {len(windows)} windows have no score.")
    order = np.argsort(-np.array(scores), kind="stable")
    return [windows[row] for row in order]


def _saliency(row: Mapping[str, Any], clip: float) -> dict[float, float]:
    """Return the mean score of every scored clip by its middle in seconds."""
    scores = row.get("saliency_scores")
    if not scores:
        return {}
    # Without clip ids the scores are those of all clips from the first on.
    clips = row.get("relevant_clip_ids") or range(len(scores))
    if len(clips) != len(scores) or not all(isinstance(number, int) for number in clips):
        raise ValueError("relevant_clip_ids are not an integer for every score of saliency_scores")
    means = [np.mean(_numbers(score if isinstance(score, list) else [score])) for score in scores]
    return {(number + 0.5) * clip: float(mean) for number, mean in zip(clips, means, strict=True)}


def _grade(saliency: Mapping[float, float], start: float, end: float, grade: float) -> float:
    inside = [score for middle, score in saliency.items() if start <= middle < end]
    return min(max(float(np.mean(inside)), LOWEST), BEST) if inside else grade
