"""Answers + truth -> the report.

    {"queries": 200, "answerable": 197, "protocol": "spr",
     "retrieval": {"VideoRecall": .., "SegmentRecall": .., "WeightedSegmentRecall": ..},
     "coarse":    {"NDCG@10,IoU>=0.3": .., ..., "VideoRecall@10": ..},
     "refined":   {...}, "change": {"NDCG@10,IoU>=0.3": 0.31, ...}, "chance": {...},
     "slices":    {"imprecise": {"queries": 60, "coarse": {...}, "refined": {...}}, ...}}

`retrieval` speaks of the segments that an index returned. A run that carries them (stage "retrieval", one
moment a segment) gets NDCG for them too. Otherwise they are read off the coarse proposals, which are runs of
retrieved segments: exact for the default rule, an upper bound for rules that bridge gaps.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from engine.errors import InvalidInput
from trainer.annotations import JudgedQuery, segment_samples
from trainer.evaluation.chance import chance, corpus_of
from trainer.evaluation.runfile import COARSE, REFINED, RETRIEVAL, Answers, Predicted, Run, rankings
from trainer.measures import (
    NDCGS,
    SPR,
    Absent,
    Protocol,
    Ranking,
    Truth,
    evaluate,
    relative_video_recall,
    segment_recall,
    truths,
    video_recall,
    weighted_segment_recall,
)
from trainer.moment_measures import moment_figures

Report = dict[str, Any]
EMPTY = Ranking.of([], [])


def report(
    run: Run,
    queries: Sequence[JudgedQuery],
    *,
    corpus: Mapping[str, float] | None = None,
    segment_length: float = 4.0,
    protocol: Protocol = SPR,
    absent: Absent = "zero",
    seed: int = 0,
) -> Report:
    """Return every figure of a run as one JSON object; keys of measures are their printed names.

    corpus: `{video: seconds}` for the chance level, default the videos that the truth names.
    Raises InvalidInput for a run that answers none of the judged queries.
    """
    truth = truths(queries)
    if not any(query_id in truth for answers in run.values() for query_id in answers):
        raise InvalidInput("The run answers none of the judged queries; give it the truth of the same split.")
    stages = _stages(run, truth, protocol, absent)
    samples = dict(zip(truth, segment_samples(queries, segment_length), strict=True))
    relevant = {
        query_id: {(row.video, row.segment): row.score for row in rows if row.relevance}
        for query_id, rows in samples.items()
    }
    value: Report = {
        "queries": len(queries),
        "answerable": sum(judged.answerable for judged in truth.values()),
        "protocol": protocol.name,
        "absent": absent,
        **stages,
        RETRIEVAL: {**stages.get(RETRIEVAL, {}), **_retrieval(run, truth, relevant, segment_length, absent)},
        "chance": chance(queries, truth, corpus or corpus_of(queries), protocol=protocol, seed=seed),
        "slices": _slices(run, queries, truth, protocol, absent),
    }
    if COARSE in stages and REFINED in stages:
        value["change"] = change(stages[COARSE], stages[REFINED])
    return value


def change(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float | None]:
    """Return the relative change of every shared figure; None where the first is zero."""
    return {key: after[key] / before[key] - 1.0 if before[key] else None for key in before if key in after}


def _stages(
    run: Run, truth: Mapping[int, Truth], protocol: Protocol, absent: Absent
) -> dict[str, dict[str, float]]:
    return {stage: _figures(rankings(answers), truth, protocol, absent) for stage, answers in run.items()}


def _figures(
    run: Mapping[int, Ranking], truth: Mapping[int, Truth], protocol: Protocol, absent: Absent
) -> dict[str, float]:
    figures = evaluate(run, truth, NDCGS, protocol, absent)
    for k in sorted({measure.k for measure in NDCGS}):
        recalls = [
            relative_video_recall(run.get(query_id, EMPTY), truth[query_id], k)
            for query_id in _counted(run, truth, absent)
        ]
        figures[f"VideoRecall@{k}"] = _mean(recalls)
    return figures | moment_figures(run, truth, absent)


def _retrieval(
    run: Run,
    truth: Mapping[int, Truth],
    relevant: Mapping[int, Mapping[tuple[str, int], float]],
    segment_length: float,
    absent: Absent,
) -> dict[str, float]:
    source = run.get(RETRIEVAL) or run.get(COARSE) or {}
    segments = {query_id: segments_of(rows, segment_length) for query_id, rows in source.items()}
    columns = rankings(source)
    counted = _counted(columns, truth, absent)
    recalls: dict[str, list[float]] = {"VideoRecall": [], "SegmentRecall": [], "WeightedSegmentRecall": []}
    for query_id in counted:
        found, wanted = segments.get(query_id, []), relevant[query_id]
        recalls["VideoRecall"].append(video_recall(columns.get(query_id, EMPTY), truth[query_id]))
        recalls["SegmentRecall"].append(segment_recall(found, wanted.keys(), len(found)))
        recalls["WeightedSegmentRecall"].append(weighted_segment_recall(found, wanted, len(found)))
    return {name: _mean(values) for name, values in recalls.items()}


def segments_of(rows: Iterable[Predicted], segment_length: float) -> list[tuple[str, int]]:
    """Return the segments that moments on the segment grid are made of, moment by moment."""
    segments = []
    for row in rows:
        first = math.floor(row.start / segment_length + 1e-6)
        # A video's last segment ends with the video, so the end is rounded up.
        last = math.ceil(row.end / segment_length - 1e-6)
        segments += [(row.video, segment) for segment in range(first, last)]
    return segments


def _slices(
    run: Run, queries: Sequence[JudgedQuery], truth: Mapping[int, Truth], protocol: Protocol, absent: Absent
) -> dict[str, Any]:
    names = sorted({query.slice for query in queries if query.slice is not None})
    slices = {}
    for name in names:
        part = {query.query_id: truth[query.query_id] for query in queries if query.slice == name}
        stages = _stages(
            {stage: _only(answers, part) for stage, answers in run.items()}, part, protocol, absent
        )
        slices[name] = {"queries": len(part), **stages}
    return slices


def _only(answers: Answers, part: Mapping[int, Truth]) -> Answers:
    return {query_id: rows for query_id, rows in answers.items() if query_id in part}


def _counted(run: Mapping[int, Ranking], truth: Mapping[int, Truth], absent: Absent) -> list[int]:
    return [
        query_id
        for query_id, judged in truth.items()
        if judged.answerable and (absent == "zero" or query_id in run)
    ]


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else 0.0
