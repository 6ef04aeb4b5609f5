"""The precision that standing searches reach: judged queries by every video alone, as the service judges."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.errors import Mismatch
from engine.temporal import suppress
from engine.types import Doubles
from spr.v1.standing_service_pb2 import StandingSearch
from trainer.collection.annotations import JudgedQuery
from trainer.evaluation.judged import RIGHT, Judgements, Ranking
from trainer.evaluation.offline import Offline, check_holds
from trainer.library.standing.asking import OVERLAP
from trainer.library.standing.thresholds import Calibration
from trainer.ranker.alone import Judged, lower

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reached:
    """What an asked precision came to. threshold: None where none is promised, and no other is said then.

    low: the lower end of the precision's one-sided 95 % interval, as a ranker's table is fitted. found: the
    share of the right moments that matched.
    """

    asked: float
    threshold: float | None = None
    matches: int = 0
    precision: float | None = None
    low: float | None = None
    found: float | None = None


def reached(
    version: Offline,
    queries: Sequence[JudgedQuery],
    precisions: Sequence[float],
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Reached]:
    """Return what each asked precision comes to; Mismatch for a ranker without calibration.

    InvalidInput where the version holds none of the videos that answer the queries.
    """
    check_holds(version.models.corpus, queries)
    calibration = Calibration.of(version.models.corpus.directory, version.models.version.id)
    rows: list[tuple[Doubles, Bools, int, int]] = []
    for done, query in enumerate(queries, start=1):
        rows += [(*one, done) for one in _judged(version, query)]
        on_done(done)
    judged = Judged.of(rows).surest_first()
    return [_reached(calibration, judged, asked) for asked in precisions]


def _reached(calibration: Calibration, judged: Judged, asked: float) -> Reached:
    try:
        threshold = calibration.threshold(StandingSearch(precision=asked))
    except Mismatch:
        return Reached(asked)
    matches = int((judged.sure >= threshold).sum())
    if not matches:
        return Reached(asked, threshold)
    right = judged.right[:matches]
    share, trials = np.array([right.mean()]), judged.trials()[matches - 1 : matches]
    found = float(right.sum() / max(1, judged.right.sum()))
    return Reached(asked, threshold, matches, share.item(), lower(share, trials).item(), found)


def _judged(version: Offline, query: JudgedQuery) -> Iterator[tuple[Doubles, Bools, int]]:
    """Yield for each video how sure its moments are and whether they are right; one not sure is no match."""
    truth = Judgements.of(query)
    for video, moments in enumerate(version.alone(query.query)):
        best = moments.of(suppress(moments.videos, moments.spans, OVERLAP))
        right = RIGHT.moments(
            Ranking(np.full(len(best.videos), version.catalogue.ids[video]), best.spans), truth
        )
        sure = np.zeros(len(right)) if best.confidences is None else best.confidences.astype(np.float64)
        yield np.nan_to_num(sure), right, video
