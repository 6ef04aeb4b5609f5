"""Measure a run against its truth: the report, and its JSON object.

    {"queries": 200, "answerable": 180, "unanswerable": 20, "protocol": "spr",
     "retrieval": {"VideoRecall": .., "SegmentRecall": .., "WeightedSegmentRecall": ..},
     "coarse":    {"NDCG@10,IoU>=0.3": .., ..., "VideoRecall@10": ..},
     "refined":   {...}, "change": {"NDCG@10,IoU>=0.3": 0.31, ...}, "chance": {...},
     "ceiling":   {"NDCG@10,IoU>=0.3": .., ...}, "share": {...},
     "intervals": {"refined": {"NDCG@10,IoU>=0.3": [0.35, 0.41], ...}, "coarse": {...}, "ceiling": {...}},
     "slices":    {"imprecise": {"queries": 60, "answerable": 60, "coarse": {...}, "refined": {...},
                                 "ceiling": {...}, "share": {...}, "intervals": {...}}, ...},
     "gmr":       {"refined": {"AUROC": .., "Rej-F1@0.4": .., "mR@5": .., "G-mIoU@1": ..}, ...},
     "confidence": {"refined": {"ECE": .., "Brier": .., "no-answer": {"AUROC": ..}, ...}}}

`retrieval` speaks of the segments that an index returned. A run that carries them (stage "retrieval", one
moment a segment) gets NDCG for them too. Otherwise they are read off the coarse proposals, as the segments
that these cover: exact for the published rule, whose proposals are runs of retrieved segments. It is empty
for a run of refined moments alone.

`ceiling` is what a perfect ranker would make of the coarse proposals, `share` how much of it the refined
moments reach. `intervals` are 95 % bootstrap intervals over queries. `confidence` is there for stages whose
moments carry one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.errors import InvalidInput
from trainer.collection.annotations import JudgedQuery
from trainer.collection.segment_samples import SegmentSample, segment_samples
from trainer.evaluation.calibration import Calibration, calibration
from trainer.evaluation.ceiling import ceiling
from trainer.evaluation.chance import chance, corpus_of
from trainer.evaluation.generalised import Generalised
from trainer.evaluation.judged import Rankings, Truth, truths
from trainer.evaluation.matching import GMR, SPR, Protocol
from trainer.evaluation.measures import Absent
from trainer.evaluation.resample import SAMPLES
from trainer.evaluation.retrieval import Retrieved
from trainer.evaluation.runfile import COARSE, REFINED, RETRIEVAL, Run, rankings
from trainer.evaluation.scores import Scores, ndcg_scores, scores_of

CEILING = "ceiling"
Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of some judged queries, by the printed names of their measures.

    stages: of every stage and the ceiling. intervals: of every NDCG of them, [low, high]. retrieval: of the
    segments that were retrieved. generalised: of every stage by the protocol "gmr", empty by another.
    """

    queries: int
    answerable: int
    stages: Mapping[str, Figures]
    intervals: Mapping[str, Mapping[str, list[float]]]
    retrieval: Figures
    generalised: Mapping[str, Figures] = field(default_factory=dict)

    @property
    def change(self) -> dict[str, float | None] | None:
        """The relative change from coarse to refined; None without both."""
        if COARSE not in self.stages or REFINED not in self.stages:
            return None
        return change(self.stages[COARSE], self.stages[REFINED])

    @property
    def share(self) -> dict[str, float | None] | None:
        """How much of the ceiling the refined moments reach; None without both."""
        if COARSE not in self.stages or REFINED not in self.stages:
            return None
        refined = self.stages[REFINED]
        return {name: refined[name] / best if best else None for name, best in self.stages[CEILING].items()}

    def to_json(self) -> dict[str, Any]:
        """Return the part of a report's JSON object."""
        beside = {"change": self.change, "share": self.share}
        return {
            "queries": self.queries,
            "answerable": self.answerable,
            "unanswerable": self.queries - self.answerable,
            **self.stages,
            "intervals": self.intervals,
            **{name: figures for name, figures in beside.items() if figures is not None},
            RETRIEVAL: {**self.stages.get(RETRIEVAL, {}), **self.retrieval},
            **({GMR.name: self.generalised} if self.generalised else {}),
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Every figure of a run. segments: whether relevant ones were "given" or follow from the "moments".

    chance: what blind guessing reaches. confidence: of the stages whose moments carry one. about: what else
    there is to say, such as who answered.
    """

    protocol: str
    absent: Absent
    segments: str
    whole: Part
    chance: Figures
    slices: Mapping[str, Part]
    confidence: Mapping[str, Calibration]
    about: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the report as one JSON object."""
        confidence = {stage: figures.to_json() for stage, figures in self.confidence.items()}
        return {
            "protocol": self.protocol,
            "absent": self.absent,
            "segments": self.segments,
            **self.whole.to_json(),
            "chance": self.chance,
            "slices": {name: part.to_json() for name, part in self.slices.items()},
            **({"confidence": confidence} if confidence else {}),
            **self.about,
        }


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
    existence: Mapping[int, float] | None = None,
) -> Report:
    """Return every figure of a run; InvalidInput if it answers none of the judged queries.

    corpus: `{video: seconds}` for the chance level, default the videos that the truth names. reach: seconds
    around a proposal that a ranker sees, for the ceiling; None for any moment that a proposal overlaps.
    samples: of the bootstrap. given: relevant segments by query id, not those that the moments touch.
    """
    truth = truths(queries)
    if not any(query_id in truth for answers in run.values() for query_id in answers):
        raise InvalidInput("The run answers none of the judged queries; give it the truth of the same split.")
    columns = {stage: rankings(answers) for stage, answers in run.items()}
    scores = _scored(columns, truth, protocol, absent, reach)
    sets = _generalised(run, truth, existence) if protocol is GMR else {}
    retrieved = Retrieved.of(run, given or _touched(queries, segment_length), segment_length)

    def part(some: Truth) -> Part:
        return _part(scores, sets, some, retrieved.recalls(some, absent), seed, samples)

    return Report(
        protocol=protocol.name,
        absent=absent,
        segments="given" if given else "moments",
        whole=part(truth),
        chance=chance(queries, truth, corpus or corpus_of(queries), protocol=protocol, seed=seed),
        slices={name: part(some) for name, some in _slices(queries, truth).items()},
        confidence=_confidence(columns, truth),
    )


def _generalised(run: Run, truth: Truth, existence: Mapping[int, float] | None) -> dict[str, Generalised]:
    return {stage: Generalised.of(run[stage], truth, existence) for stage in run if stage != RETRIEVAL}


def _touched(queries: Sequence[JudgedQuery], length: float) -> dict[int, Sequence[SegmentSample]]:
    """Return the segments that the relevant moments of every query touch."""
    samples = segment_samples(queries, length)
    return {query.query_id: own for query, own in zip(queries, samples, strict=True)}


def _confidence(columns: Mapping[str, Rankings], truth: Truth) -> dict[str, Calibration]:
    """Return the calibration of the stages whose moments carry a confidence."""
    sure = {stage: calibration(answers, truth) for stage, answers in columns.items()}
    return {stage: figures for stage, figures in sure.items() if figures is not None}


def _scored(
    columns: Mapping[str, Rankings], truth: Truth, protocol: Protocol, absent: Absent, reach: float | None
) -> dict[str, Scores]:
    """Return the scores of every stage and, where there are proposals, of their ceiling."""
    scores = {stage: scores_of(answers, truth, protocol, absent) for stage, answers in columns.items()}
    if COARSE in columns:
        best = ceiling(columns[COARSE], truth, reach=reach, protocol=protocol, absent=absent)
        scores[CEILING] = ndcg_scores(best, truth)
    return scores


def _part(
    scores: Mapping[str, Scores],
    sets: Mapping[str, Generalised],
    truth: Truth,
    retrieval: Figures,
    seed: int,
    samples: int,
) -> Part:
    """Return the figures of the queries of `truth`."""
    own = {stage: one.of(truth) for stage, one in scores.items()}
    return Part(
        queries=len(truth),
        answerable=sum(judged.answerable for judged in truth.values()),
        stages={stage: one.means() for stage, one in own.items()},
        intervals={stage: one.intervals(seed, samples) for stage, one in own.items()},
        retrieval=retrieval,
        generalised={stage: one.figures(truth) for stage, one in sets.items()},
    )


def change(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float | None]:
    """Return the relative change of every shared figure; None where the first is zero."""
    return {key: after[key] / before[key] - 1.0 if before[key] else None for key in before if key in after}


def _slices(queries: Sequence[JudgedQuery], truth: Truth) -> dict[str, Truth]:
    return {
        name: {query.query_id: truth[query.query_id] for query in queries if name in query.slices}
        for name in slice_names(queries)
    }


def slice_names(queries: Iterable[JudgedQuery]) -> list[str]:
    """Return every slice that the queries name, sorted."""
    return sorted({name for query in queries for name in query.slices})
