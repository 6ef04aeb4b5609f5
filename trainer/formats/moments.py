"""The JSON lines of QVHighlights and moment_detr, which most single-video moment retrieval uses.

    annotations    {qid, query, vid, duration, relevant_windows: [[start, end], ...],
                    relevant_clip_ids: [...], saliency_scores: [[4, 3, 2], ...]}
    predictions    {qid, vid, pred_relevant_windows: [[start, end, score], ...]}; the score may be missing

Every relevant window becomes a judged moment of similarity 1. Its relevance is the mean saliency (0..4) of
all annotators over the clips whose middle lies in it, at least 1, since the window is relevant; where no
saliency is given, a constant grade. Moments of a training split carry no relevance.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import InvalidInput, NotFound
from trainer.annotations import JudgedMoment, JudgedQuery, save_corpus, save_queries
from trainer.formats.segments import forget_given
from workers.store import FeatureStore

BEST, LOWEST = 4.0, 1.0
CLIP = 2.0


@dataclass(frozen=True, slots=True)
class Moments:
    """Judged queries, `{video: seconds}`, and how many windows were empty and left out."""

    queries: list[JudgedQuery]
    durations: dict[str, float]
    empty: int


def load_moments(path: Path, *, grade: float = BEST, clip: float = CLIP, judged: bool = True) -> Moments:
    """Read annotations. grade: relevance without saliency. clip: seconds a saliency score stands for."""
    queries: dict[int, JudgedQuery] = {}
    durations: dict[str, float] = {}
    empty = 0
    for where, row in _rows(path):
        try:
            query_id, text = int(row["qid"]), str(row["query"])
            video, duration = str(row["vid"]), float(row["duration"])
            windows = [(float(start), float(end)) for start, end in row.get("relevant_windows") or []]
            saliency = _saliency(row, clip)
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"{where} is no query ({error!r}); it has qid, query, vid, duration, relevant_windows."
            ) from error
        if query_id in queries:
            raise InvalidInput(f"{where}: qid {query_id} appears twice; give every query its own.")
        if durations.setdefault(video, duration) != duration:
            raise InvalidInput(
                f"{where}: {video} lasts {duration:g} s here and {durations[video]:g} s above."
            )
        sound = [(start, end) for start, end in windows if 0 <= start < end]
        empty += len(windows) - len(sound)
        moments = tuple(
            JudgedMoment(
                number,
                video,
                start,
                end,
                duration,
                text,
                1.0,
                _grade(saliency, start, end, grade) if judged else None,
            )
            for number, (start, end) in enumerate(sound)
        )
        queries[query_id] = JudgedQuery(query_id, text, moments)
    return Moments(list(queries.values()), durations, empty)


def import_moments(
    path: Path, collection: Path, split: str, *, grade: float = BEST, clip: float = CLIP
) -> Moments:
    """Make the file a split of the collection's annotations; InvalidInput for videos without features.

    A collection without any features takes every video: predictions are measured without them.
    """
    found = load_moments(path, grade=grade, clip=clip, judged=split != "train")
    stores = sorted((collection / "features").glob("*/store.json"))
    known = {video for header in stores for video in FeatureStore.open(header.parent).ids()}
    strangers = sorted(found.durations.keys() - known)
    if stores and strangers:
        raise InvalidInput(
            f"{path} names {len(strangers)} videos without features in {collection}, such as "
            f"{', '.join(strangers[:3])}; ingest them first."
        )
    forget_given(collection, split)
    save_corpus(collection / "annotations" / f"corpus_{split}.json", found.durations)
    save_queries(collection / "annotations" / f"{split}.json", found.queries)
    return found


Window = tuple[str, float, float, float | None]


def load_predictions(path: Path) -> dict[int, list[Window]]:
    """Return (video, start, end, score or None) of every query, best first.

    Windows with scores are sorted by them, equal ones as in the file, whatever order they came in: a score
    says more of what a model meant than a place. Windows without scores stay in their order.
    """
    answers: dict[int, list[Window]] = {}
    for where, row in _rows(path):
        try:
            query_id, video = int(row["qid"]), str(row["vid"])
            windows = [_window(video, values) for values in row["pred_relevant_windows"]]
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidInput(
                f"{where} is no prediction ({error!r}); it has qid, vid, pred_relevant_windows [[start, end, "
                "score], ...]."
            ) from error
        if query_id in answers:
            raise InvalidInput(f"{where}: qid {query_id} appears twice; predict every query once.")
        answers[query_id] = _best_first(windows, where)
    return answers


def _window(video: str, values: Any) -> Window:
    start, end, *score = map(float, values)
    if len(score) > 1 or not np.isfinite([start, end, *score]).all():
        raise ValueError(f"a window of {values!r}")
    return video, start, end, score[0] if score else None


def _best_first(windows: list[Window], where: str) -> list[Window]:
    scores = [score for _, _, _, score in windows if score is not None]
    if not scores:
        return windows
    if len(scores) < len(windows):
        raise InvalidInput(f"{where}: {len(windows) - len(scores)} of {len(windows)} windows have no score.")
    order = np.argsort(-np.array(scores), kind="stable")
    return [windows[row] for row in order]


def _rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError as error:
        raise NotFound(f"{path} does not exist; name a file of JSON lines.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except ValueError as error:
                raise InvalidInput(f"{path}: line {number} is not JSON: {error}.") from error
            if not isinstance(row, dict):
                raise InvalidInput(f"{path}: line {number} is {type(row).__name__}; write an object.")
            yield f"{path}: line {number}", row


def _saliency(row: Mapping[str, Any], clip: float) -> dict[float, float]:
    """Return the mean score of every scored clip by its middle in seconds."""
    scores = row.get("saliency_scores")
    if not scores:
        return {}
    # Without clip ids the scores are those of all clips from the first on.
    clips = row.get("relevant_clip_ids") or range(len(scores))
    pairs = zip(clips, scores, strict=True)
    return {(int(number) + 0.5) * clip: float(np.mean(score)) for number, score in pairs}


def _grade(saliency: Mapping[float, float], start: float, end: float, grade: float) -> float:
    inside = [score for middle, score in saliency.items() if start <= middle < end]
    return min(max(float(np.mean(inside)), LOWEST), BEST) if inside else grade
