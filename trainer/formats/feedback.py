"""Judged queries out of what people said of moments (COLLECTION/feedback.sqlite).

Of one person's judgements of a query and one moment the latest counts; two judgements are of one moment where
their spans, or the spans they were shown with, overlap by half (temporal IoU). Of several persons' the median
counts, of grades and, among grades above zero, of boundaries.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from engine.corpus import open_corpus
from engine.errors import NotFound
from engine.files import make_folder
from spr.v1.feedback_service_pb2 import Judgement
from trainer.collection.annotations import JudgedMoment, JudgedQuery, save_corpus, save_queries
from trainer.library.judgements import span_of, stored

SAME = 0.5  # IoU
BEST = 4.0
SPLITS = ("train", "val", "test")
_OF_FIFTHS = ("train", "train", "train", "val", "test")
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Said:
    """What one person says of one moment. shown: as it was shown, else its span."""

    person: str
    span: Span
    shown: Span
    grade: int


def split_of(query: str) -> str:
    """Return the split of a query, by its words alone."""
    return _OF_FIFTHS[hashlib.sha256(_key(query).encode()).digest()[0] % len(_OF_FIFTHS)]


def judged(judgements: Iterable[Judgement], durations: Mapping[str, float]) -> list[JudgedQuery]:
    """Return judged queries, by their words; what lies in no video is left out.

    judgements: oldest first. durations: of the videos by now, which may be shorter than what was judged.
    relevance: the median grade; similarity: a quarter of it.
    """
    said: dict[str, dict[str, list[_Said]]] = {}
    texts: dict[str, str] = {}
    for one in judgements:
        if span_of(one)[0] < durations.get(one.video_id, 0.0):
            texts[_key(one.query)] = one.query
            of_video = said.setdefault(_key(one.query), {}).setdefault(one.video_id, [])
            _add(of_video, one)
    queries = []
    for number, key in enumerate(sorted(said)):
        found = [
            (video, (start, min(end, durations[video])), grade)
            for video in sorted(said[key])
            for (start, end), grade in _merged(said[key][video])
        ]
        moments = tuple(
            JudgedMoment(row, video, *span, durations[video], texts[key], grade / BEST, grade)
            for row, (video, span, grade) in enumerate(found)
        )
        queries.append(JudgedQuery(number, texts[key], moments))
    return queries


def of_collection(collection: Path) -> tuple[list[JudgedQuery], dict[str, float]]:
    """Return a collection's judged queries and `{video: seconds}`; NotFound without any."""
    corpus = open_corpus(collection)
    durations = dict(zip(corpus.catalogue.ids, map(float, corpus.catalogue.durations), strict=True))
    queries = judged(stored(collection), durations)
    if not queries:
        message = f"{collection} has no judgements: grade moments in the web page, or with `spr feedback`."
        raise NotFound(message, "NO_FEEDBACK")
    return queries, durations


def training(queries: Sequence[JudgedQuery], split: str, first: int = 0) -> list[JudgedQuery]:
    """Return the queries of a split as training reads them, numbered from `first`.

    Of train the moments that are relevant, as positives of similarity grade / 4, without relevance.
    """
    chosen = [query for query in queries if split_of(query.query) == split]
    if split == "train":
        positive = [[one for one in query.moments if one.similarity > 0] for query in chosen]
        chosen = [
            replace(query, moments=tuple(replace(one, relevance=None) for one in moments))
            for query, moments in zip(chosen, positive, strict=True)
            if moments
        ]
    return [replace(query, query_id=first + number) for number, query in enumerate(chosen)]


def export_feedback(collection: Path, out: Path) -> dict[str, tuple[int, int]]:
    """Write train, val and test.json with their corpora into a folder; return queries and moments of each."""
    queries, durations = of_collection(collection)
    make_folder(out)
    counts = {}
    for split in SPLITS:
        chosen = training(queries, split)
        save_corpus(out / f"corpus_{split}.json", durations)
        save_queries(out / f"{split}.json", chosen)
        counts[split] = len(chosen), sum(len(query.moments) for query in chosen)
    return counts


def overlap(a: Span, b: Span) -> float:
    """Return the temporal IoU of two spans."""
    shared = min(a[1], b[1]) - max(a[0], b[0])
    return max(0.0, shared) / max(1e-9, max(a[1], b[1]) - min(a[0], b[0]))


def _key(query: str) -> str:
    return " ".join(query.casefold().split())


def _add(of_video: list[_Said], judgement: Judgement) -> None:
    """Add a judgement in place of its person's earlier ones of the same moment."""
    span = span_of(judgement)
    shown = span_of(Judgement(span=judgement.shown_span)) if judgement.HasField("shown_span") else span
    new = _Said(f"{judgement.who}/{judgement.annotator}", span, shown, judgement.grade)
    of_video[:] = [one for one in of_video if one.person != new.person or not _same(one, new)]
    of_video.append(new)


def _same(a: _Said, b: _Said) -> bool:
    return overlap(a.span, b.span) >= SAME or overlap(a.shown, b.shown) >= SAME


def _merged(of_video: Sequence[_Said]) -> list[tuple[Span, float]]:
    """Return the moments that persons judged, each with the median grade, in the order of their starts."""
    groups: list[list[_Said]] = []
    for one in of_video:
        group = next((group for group in groups if _same(group[0], one)), None)
        if group is None:
            groups.append([one])
        else:
            group.append(one)
    moments = []
    for group in groups:
        relevant = [one.span for one in group if one.grade > 0] or [one.span for one in group]
        start, end = (median(span[side] for span in relevant) for side in (0, 1))
        grade = float(median(one.grade for one in group))
        # Medians of spans that hardly overlap may be reversed.
        moments.append(((start, end) if start < end else relevant[0], grade))
    return sorted(moments)
