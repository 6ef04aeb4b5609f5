"""The precision that standing searches reach: judged queries by every video alone, as the service judges."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine import merge, ranking
from engine.errors import Mismatch
from engine.proposals import propose
from engine.temporal import suppress
from engine.types import Doubles, EncodedQuery, Hits, RankQuery
from spr.v1.standing_service_pb2 import StandingSearch
from trainer.collection.annotations import JudgedQuery
from trainer.evaluation.judged import RIGHT, Judgements, Ranking
from trainer.evaluation.offline import DEFAULTS, Offline
from trainer.library.standing.asking import OVERLAP
from trainer.library.standing.thresholds import Calibration

Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Reached:
    """What an asked precision came to. found: the share of the right moments that matched."""

    asked: float
    threshold: float
    matches: int
    precision: float
    found: float


def reached(
    version: Offline,
    queries: Sequence[JudgedQuery],
    precisions: Sequence[float],
    on_done: Callable[[int], None] = lambda _: None,
) -> list[Reached]:
    """Return what each asked precision comes to; Mismatch for a ranker without calibration."""
    calibration = Calibration.of(version.models.corpus.directory, version.models.version.id)
    sure, right = [np.zeros(0)], [np.zeros(0, bool)]
    rows = [np.flatnonzero(version.videos == video) for video in range(len(version.catalogue))]
    for done, query in enumerate(queries, start=1):
        (encoded,) = version.models.encode([query.query])
        for one_sure, one_right in _judged(version, encoded, Judgements.of(query), rows):
            sure.append(one_sure)
            right.append(one_right)
        on_done(done)
    all_sure, all_right = np.concatenate(sure), np.concatenate(right)
    found = []
    for asked in precisions:
        try:
            threshold = calibration.threshold(StandingSearch(precision=asked))
        except Mismatch:
            found.append(Reached(asked, 1.0, 0, 0.0, 0.0))
            continue
        matched = all_right[all_sure >= threshold]
        share = float(matched.mean()) if len(matched) else 0.0
        found.append(
            Reached(asked, threshold, len(matched), share, float(matched.sum() / max(1, all_right.sum())))
        )
    return found


def _judged(
    version: Offline, query: EncodedQuery, truth: Judgements, rows: Sequence[NDArray[np.intp]]
) -> list[tuple[Doubles, Bools]]:
    """Return for each video how sure its moments are and whether they are right."""
    scores = version.vectors @ query.embedding
    asked, length = [], version.models.version.segment_length
    for own in rows:
        hits = Hits(version.videos[own], version.segments[own], scores[own])
        retrieved = merge.top_k([hits], DEFAULTS.segment_top_k)
        asked.append(propose(retrieved, version.catalogue.durations, length, DEFAULTS.rule))
    questions = [RankQuery.of(query, proposals, searched=1) for proposals in asked]
    found = []
    for proposals, ranked in zip(
        asked, version.models.ranker.rank_many(questions, version.models.features), strict=True
    ):
        best = ranking.ordered(proposals, ranked)
        best = best.of(suppress(best.videos, best.spans, OVERLAP))
        names = np.array([version.catalogue.ids[video] for video in best.videos])
        assert best.confidences is not None
        sure = best.confidences.astype(np.float64)
        found.append((sure, RIGHT.moments(Ranking(names, best.spans), truth)))
    return found
