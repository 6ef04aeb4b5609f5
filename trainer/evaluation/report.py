"""Answers + truth -> the report.

    {"queries": 200, "answerable": 180, "unanswerable": 20, "protocol": "spr",
     "retrieval": {"VideoRecall": .., "SegmentRecall": .., "WeightedSegmentRecall": ..},
     "coarse":    {"NDCG@10,IoU>=0.3": .., ..., "VideoRecall@10": ..},
     "refined":   {...}, "change": {"NDCG@10,IoU>=0.3": 0.31, ...}, "chance": {...},
     "ceiling":   {"NDCG@10,IoU>=0.3": .., ...}, "share": {...},
     "intervals": {"refined": {"NDCG@10,IoU>=0.3": [0.35, 0.41], ...}, "coarse": {...}, "ceiling": {...}},
     "slices":    {"imprecise": {"queries": 60, "answerable": 60, "coarse": {...}, "refined": {...},
                                 "ceiling": {...}, "share": {...}, "intervals": {...}}, ...},
     "confidence": {"refined": {"ECE": .., "Brier": .., "no-answer": {"AUROC": ..}, ...}}}

`retrieval` speaks of the segments that an index returned. A run that carries them (stage "retrieval", one
moment a segment) gets NDCG for them too. Otherwise they are read off the coarse proposals, as the segments
that these cover: exact for the published rule, whose proposals are runs of retrieved segments. It is empty
for a run of refined moments alone.

`ceiling` is what a perfect ranker would make of the coarse proposals, `share` how much of it the refined
moments reach. `intervals` are 95 % bootstrap intervals over queries. `confidence` is there for stages whose
moments carry one.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from engine.errors import InvalidInput
from trainer.collection.annotations import JudgedQuery
from trainer.collection.segment_samples import SegmentSample, segment_samples
from trainer.evaluation.calibration import confidence_figures
from trainer.evaluation.ceiling import ceiling
from trainer.evaluation.chance import chance, corpus_of
from trainer.evaluation.measures import (
    SPR,
    Absent,
    Protocol,
    Ranking,
    Truth,
    segment_recall,
    truths,
    video_recall,
    weighted_segment_recall,
)
from trainer.evaluation.resample import SAMPLES
from trainer.evaluation.runfile import COARSE, REFINED, RETRIEVAL, Predicted, Run, rankings
from trainer.evaluation.scores import Scores, ndcg_scores, scores_of

Report = dict[str, Any]
EMPTY = Ranking.of([], [])
CEILING = "ceiling"


def report(
    run: Run,
    queries: Sequence[JudgedQuery],
    *,
    corpus: Mapping[str, float] | None = None,
    segment_length: float = 4.0,
    protocol: Protocol = SPR,
    absent: Absent = "zero",
    seed: int = 0,
    reach: float | None = None,
    samples: int = SAMPLES,
    given: Mapping[int, Sequence[SegmentSample]] | None = None,
) -> Report:
    """Return every figure of a run as one JSON object; keys of measures are their printed names.

    corpus: `{video: seconds}` for the chance level, default the videos that the truth names. reach: seconds
    around a proposal that a ranker sees, for the ceiling; None for any moment that a proposal overlaps.
    samples: of the bootstrap. given: relevant segments by query id, which segment recall counts in place of
    those that follow from the moments. Raises InvalidInput for a run that answers none of the judged queries.
    """
    truth = truths(queries)
    if not any(query_id in truth for answers in run.values() for query_id in answers):
        raise InvalidInput("The run answers none of the judged queries; give it the truth of the same split.")
    columns = {stage: rankings(answers) for stage, answers in run.items()}
    scores = {stage: scores_of(answers, truth, protocol, absent) for stage, answers in columns.items()}
    if COARSE in columns:
        best = ceiling(columns[COARSE], truth, reach=reach, protocol=protocol, absent=absent)
        scores[CEILING] = ndcg_scores(best, truth)
    whole = _part(scores, truth, seed, samples)
    wanted = given or dict(zip(truth, segment_samples(queries, segment_length), strict=True))

    def recalls(part: Mapping[int, Truth]) -> dict[str, float]:
        return _retrieval(run, wanted, part, segment_length, absent)

    value: Report = {
        "protocol": protocol.name,
        "absent": absent,
        "segments": "given" if given else "moments",
        **whole,
        RETRIEVAL: {**whole.get(RETRIEVAL, {}), **recalls(truth)},
        "chance": chance(queries, truth, corpus or corpus_of(queries), protocol=protocol, seed=seed),
        "slices": _slices(scores, queries, truth, seed, samples, recalls),
    }
    confidence = {stage: confidence_figures(answers, truth) for stage, answers in run.items()}
    if any(confidence.values()):
        value["confidence"] = {stage: figures for stage, figures in confidence.items() if figures}
    return value


def _part(
    scores: Mapping[str, Scores], truth: Mapping[int, Truth], seed: int, samples: int
) -> dict[str, Any]:
    """Return the figures of some judged queries, stage by stage, with their intervals."""
    answerable = sum(judged.answerable for judged in truth.values())
    stages = {stage: part.means() for stage, part in scores.items()}
    value: dict[str, Any] = {
        "queries": len(truth),
        "answerable": answerable,
        "unanswerable": len(truth) - answerable,
        **stages,
        "intervals": {stage: part.intervals(seed, samples) for stage, part in scores.items()},
    }
    if COARSE in stages and REFINED in stages:
        value["change"] = change(stages[COARSE], stages[REFINED])
        value["share"] = {
            name: stages[REFINED][name] / best if best else None for name, best in stages[CEILING].items()
        }
    return value


def change(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float | None]:
    """Return the relative change of every shared figure; None where the first is zero."""
    return {key: after[key] / before[key] - 1.0 if before[key] else None for key in before if key in after}


def _retrieval(
    run: Run,
    samples: Mapping[int, Sequence[SegmentSample]],
    truth: Mapping[int, Truth],
    segment_length: float,
    absent: Absent,
) -> dict[str, float]:
    relevant = {
        query_id: {(row.video, row.segment): row.score for row in rows if row.relevance}
        for query_id, rows in samples.items()
    }
    source = run.get(RETRIEVAL) or run.get(COARSE)
    if source is None:
        return {}
    columns = rankings(source)
    recalls: dict[str, list[float]] = {"VideoRecall": [], "SegmentRecall": [], "WeightedSegmentRecall": []}
    for query_id, judged in truth.items():
        if not judged.answerable or (absent == "skip" and query_id not in source):
            continue
        found, wanted = segments_of(source.get(query_id, ()), segment_length), relevant.get(query_id, {})
        recalls["VideoRecall"].append(video_recall(columns.get(query_id, EMPTY), judged))
        if not wanted:  # Given segments may be none, though moments are relevant.
            continue
        recalls["SegmentRecall"].append(segment_recall(found, wanted.keys(), len(found)))
        recalls["WeightedSegmentRecall"].append(weighted_segment_recall(found, wanted, len(found)))
    return {name: sum(values) / len(values) if values else 0.0 for name, values in recalls.items()}


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
    scores: Mapping[str, Scores],
    queries: Sequence[JudgedQuery],
    truth: Mapping[int, Truth],
    seed: int,
    samples: int,
    recalls: Callable[[Mapping[int, Truth]], dict[str, float]],
) -> dict[str, Any]:
    slices = {}
    for name in slice_names(queries):
        part = {query.query_id: truth[query.query_id] for query in queries if name in query.slices}
        figures = _part({stage: one.of(part) for stage, one in scores.items()}, part, seed, samples)
        slices[name] = {**figures, RETRIEVAL: {**figures.get(RETRIEVAL, {}), **recalls(part)}}
    return slices


def slice_names(queries: Iterable[JudgedQuery]) -> list[str]:
    """Return every slice that the queries name, sorted."""
    return sorted({name for query in queries for name in query.slices})
