"""How good ranked lists of moments are: measures as values.

    NDCG(10, 0.5)        NDCG@10,IoU>=0.5     discounted gain of the first ten moments
    VideoRecall(10)      VideoRecall@10       relevant videos among the first ten moments
    Recall(1, 0.5)       R@1,IoU>=0.5         queries whose first moment overlaps a relevant one
    AP(0.5)              mAP,IoU>=0.5         average precision of the first ten moments
    AP()                 mAP,IoU>=0.5:0.05:0.95, its mean over ten thresholds
    ECE()                ECE                  expected calibration error of the moments' confidences

A measure prints itself as every table and report names it, `parse` reads that, and
`measure.over(rankings, truth)` is its figure: a mean over the judged queries (`scores.evaluate` takes several
at once). A judged query without predictions counts as zero; `absent="skip"` leaves it out of the mean, as the
published figures do.
"""

import contextlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from engine.errors import InvalidInput
from trainer.evaluation import matching
from trainer.evaluation.calibration import BINS, confident, expected_calibration_error
from trainer.evaluation.judged import EMPTY, RIGHT, Doubles, Judgements, Ranking, Rankings, Truth
from trainer.evaluation.matching import SPR, THRESHOLDS

Absent = Literal["zero", "skip"]
_NUMBER = r"(\d*\.?\d+)"
_EVERY = "0.5:0.05:0.95"


class Measure(Protocol):
    """A figure of a run, the same value wherever its name is the same."""

    def over(
        self, run: Rankings, truth: Truth, protocol: matching.Protocol = SPR, absent: Absent = "zero"
    ) -> float:
        """Return the figure of ranked lists by query id, against the judgements of all queries."""
        ...


class PerQuery:
    """A measure that is a mean over queries: of those with a relevant moment, unless it says otherwise."""

    __slots__ = ()

    def of(self, ranking: Ranking, judged: Judgements, protocol: matching.Protocol = SPR) -> float:
        """Return the figure of one query."""
        raise NotImplementedError

    def counts(self, judged: Judgements, protocol: matching.Protocol = SPR) -> bool:
        """Return whether a query is part of the mean."""
        return judged.answerable

    def over(
        self, run: Rankings, truth: Truth, protocol: matching.Protocol = SPR, absent: Absent = "zero"
    ) -> float:
        """Return the mean over the queries that count; 0 where none does."""
        rows = [
            self.of(run.get(query_id, EMPTY), judged, protocol)
            for query_id, judged in truth.items()
            if self.counts(judged, protocol) and (absent == "zero" or query_id in run)
        ]
        return float(np.mean(rows)) if rows else 0.0


@dataclass(frozen=True, slots=True, order=True)
class NDCG(PerQuery):
    """Normalised discounted cumulative gain of the first `k` moments that overlap a true one by `iou`.

    TVR_RANKING counts queries without a relevant moment too, as zero.
    """

    k: int
    iou: float

    def __str__(self) -> str:
        return f"NDCG@{self.k},IoU>={self.iou:g}"

    @staticmethod
    def parse(text: str) -> "NDCG":
        """Return the measure that prints as `text`.

        >>> NDCG.parse("NDCG@10,IoU>=0.5")
        NDCG(k=10, iou=0.5)
        """
        found = _read(text, rf"NDCG@(\d+),IoU>={_NUMBER}")
        return NDCG(int(found[1]), float(found[2]))

    def of(self, ranking: Ranking, judged: Judgements, protocol: matching.Protocol = SPR) -> float:
        """Return the figure of one query; 0 for a query without a relevant moment."""
        return float(ndcg(ranking, judged, [self], protocol)[0])

    def counts(self, judged: Judgements, protocol: matching.Protocol = SPR) -> bool:
        """Return whether a query is part of the mean."""
        return judged.answerable or protocol.keeps_irrelevant


@dataclass(frozen=True, slots=True, order=True)
class VideoRecall(PerQuery):
    """The relevant videos among those of the first `k` moments, over the most that k could hold.

    k None reads all moments.
    """

    k: int | None = None

    def __str__(self) -> str:
        return "VideoRecall" if self.k is None else f"VideoRecall@{self.k}"

    @staticmethod
    def parse(text: str) -> "VideoRecall":
        """Return the measure that prints as `text`."""
        found = _read(text, r"VideoRecall(?:@(\d+))?")
        return VideoRecall(int(found[1]) if found[1] else None)

    def of(self, ranking: Ranking, judged: Judgements, protocol: matching.Protocol = SPR) -> float:
        """Return the figure of one query; 0 for a query without a relevant moment."""
        wanted = judged.relevant_videos
        if not len(wanted):
            return 0.0
        most = len(wanted) if self.k is None else min(self.k, len(wanted))
        return float(np.isin(wanted, ranking.videos[: self.k]).sum() / most)


@dataclass(frozen=True, slots=True, order=True)
class Recall(PerQuery):
    """The share of queries with a relevant moment that one of the first `k` overlaps by `iou`."""

    k: int
    iou: float

    def __str__(self) -> str:
        return f"R@{self.k},IoU>={self.iou:g}"

    @staticmethod
    def parse(text: str) -> "Recall":
        """Return the measure that prints as `text`."""
        found = _read(text, rf"R@(\d+),IoU>={_NUMBER}")
        return Recall(int(found[1]), float(found[2]))

    def of(self, ranking: Ranking, judged: Judgements, protocol: matching.Protocol = SPR) -> float:
        """Return 1 where such a moment is there, else 0."""
        return float(matching.best_iou(ranking, judged, self.k) >= self.iou)


@dataclass(frozen=True, slots=True)
class AP(PerQuery):
    """Average precision of the first ten moments at an IoU; None: its mean over 0.5, 0.55, ... 0.95."""

    iou: float | None = None

    def __str__(self) -> str:
        return f"mAP,IoU>={_EVERY if self.iou is None else format(self.iou, 'g')}"

    @staticmethod
    def parse(text: str) -> "AP":
        """Return the measure that prints as `text`."""
        found = _read(text, rf"mAP,IoU>=(?:{re.escape(_EVERY)}|{_NUMBER})")
        return AP(float(found[1]) if found[1] else None)

    def of(self, ranking: Ranking, judged: Judgements, protocol: matching.Protocol = SPR) -> float:
        """Return the figure of one query; 0 for a query without a relevant moment."""
        thresholds = THRESHOLDS if self.iou is None else (self.iou,)
        return float(matching.average_precisions(ranking, judged, thresholds).mean())


@dataclass(frozen=True, slots=True)
class ECE:
    """Expected calibration error: the mean distance of confidence and share right, over bins of equal mass.

    Of every judged query the first moments count, as many as RIGHT looks at.
    """

    bins: int = BINS

    def __str__(self) -> str:
        return "ECE" if self.bins == BINS else f"ECE,bins={self.bins}"

    @staticmethod
    def parse(text: str) -> "ECE":
        """Return the measure that prints as `text`."""
        found = _read(text, r"ECE(?:,bins=(\d+))?")
        return ECE(int(found[1]) if found[1] else BINS)

    def over(
        self, run: Rankings, truth: Truth, protocol: matching.Protocol = SPR, absent: Absent = "zero"
    ) -> float:
        """Return the figure; InvalidInput where a moment carries no confidence."""
        found = confident(run, truth, RIGHT)
        if found is None:
            raise InvalidInput("The moments carry no confidence; ECE cannot be measured.")
        return expected_calibration_error(found.confidence, found.right, self.bins)


NDCGS = tuple(NDCG(k, iou) for k in (10, 20, 40) for iou in (0.3, 0.5, 0.7))
# What a report says of every stage.
FIGURES: tuple[PerQuery, ...] = (
    *NDCGS,
    *(VideoRecall(k) for k in (10, 20, 40)),
    *(Recall(1, iou) for iou in (0.5, 0.7)),
    *(AP(iou) for iou in (0.5, 0.75, None)),
)


def parse(text: str) -> Measure:
    """Return the measure that prints as `text`; InvalidInput where none does.

    >>> parse("R@1,IoU>=0.5")
    Recall(k=1, iou=0.5)
    >>> str(parse("mAP,IoU>=0.5:0.05:0.95"))
    'mAP,IoU>=0.5:0.05:0.95'
    """
    kinds: list[Callable[[str], Measure]] = [NDCG.parse, VideoRecall.parse, Recall.parse, AP.parse]
    for kind in kinds:
        with contextlib.suppress(InvalidInput):
            return kind(text)
    return ECE.parse(text)


def _read(text: str, pattern: str) -> re.Match[str]:
    if found := re.fullmatch(pattern, text.replace(" ", "")):
        return found
    raise InvalidInput(f"{text!r} is no measure; write it like 'NDCG@10,IoU>=0.5'.")


def ndcg(
    ranking: Ranking,
    judged: Judgements,
    measures: Sequence[NDCG] = NDCGS,
    protocol: matching.Protocol = SPR,
) -> Doubles:
    """Return several NDCGs of one query, (len(measures),), from one matching; 0 without a relevant moment."""
    thresholds = sorted({measure.iou for measure in measures})
    short = ranking.first(max(measure.k for measure in measures))
    earned, grades = matching.gains(short, judged, thresholds, protocol)
    columns = {threshold: column for column, threshold in enumerate(thresholds)}
    gained = {k: matching.dcg(earned[:k]).tolist() for k in {measure.k for measure in measures}}
    ideal = {k: float(matching.dcg(grades[:k])) for k in gained}
    return np.array([gained[m.k][columns[m.iou]] / ideal[m.k] if ideal[m.k] else 0.0 for m in measures])
