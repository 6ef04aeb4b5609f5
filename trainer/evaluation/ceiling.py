"""The ceiling: the best NDCG that a ranker can reach with the proposals it is given.

A perfect ranker turns every proposal into the best true moment that the proposal leads to, and puts them in
the best order. A proposal leads to `spans` moments at most, and to those it touches. What no proposal touches
is lost to every ranker; so is the second moment inside one long proposal. The share of the ceiling that a
ranker reaches says how much ranking can gain, the ceiling itself how much proposals can.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.evaluation.judged import EMPTY, Doubles, Judgements, Ranking, Rankings, Truth
from trainer.evaluation.matching import SPR, Protocol, dcg
from trainer.evaluation.measures import NDCG, NDCGS, Absent


def ceiling(
    proposals: Rankings,
    truth: Truth,
    measures: Sequence[NDCG] = NDCGS,
    *,
    reach: float | None = None,
    spans: int = 1,
    protocol: Protocol = SPR,
    absent: Absent = "zero",
) -> dict[int, Doubles]:
    """Return the best possible measures of every query that counts, (len(measures),), by query id.

    reach: None lets a proposal lead to any moment it overlaps; a number of seconds, only to what lies within
    its span widened by that much on both sides, so that a long moment seen in part has an IoU below one.
    spans: moments a proposal may turn into. Queries count as in the measures.
    """
    return {
        query_id: best_ndcg(proposals.get(query_id, EMPTY), judged, measures, reach=reach, spans=spans)
        for query_id, judged in truth.items()
        if measures[0].counts(judged, protocol) and (absent == "zero" or query_id in proposals)
    }


def best_ndcg(
    proposals: Ranking,
    judged: Judgements,
    measures: Sequence[NDCG] = NDCGS,
    *,
    reach: float | None = None,
    spans: int = 1,
) -> Doubles:
    """Return the measures of one query's proposals, refined and ordered perfectly; 0 without an answer."""
    order = np.argsort(-judged.relevances, kind="stable")
    order = order[judged.relevances[order] > 0]
    ideal = judged.relevances[order]
    overlap = _best_overlap(proposals, judged.videos[order], judged.spans[order], reach)
    values = []
    found: dict[float, Doubles] = {}
    deepest = max(measure.k for measure in measures)
    for measure in measures:
        limit = measure.iou if reach is not None else 0.0
        if limit not in found:
            leads = overlap > 0 if reach is None else overlap >= max(limit, 1e-12)
            found[limit] = ideal[matched(np.repeat(leads, spans, axis=1), deepest)]
        best = float(dcg(ideal[: measure.k]))
        values.append(float(dcg(found[limit][: measure.k])) / best if best else 0.0)
    return np.array(values)


def matched(leads: NDArray[np.bool_], most: int) -> NDArray[np.int64]:
    """Return the rows that can have a column of their own, at most `most`, earlier rows first.

    leads: (moments, proposals), rows by falling worth. Rows that can be matched together form a matroid, so
    the greedy choice (each row in turn, if an augmenting path finds it a column) is optimal at every depth.
    """
    owner: dict[int, int] = {}
    columns = [np.flatnonzero(row).tolist() for row in leads]

    def place(row: int, tried: set[int]) -> bool:
        free = next((column for column in columns[row] if column not in owner), None)
        if free is not None:
            owner[free] = row
            return True
        for column in columns[row]:
            if column not in tried:
                tried.add(column)
                if place(owner[column], tried):
                    owner[column] = row
                    return True
        return False

    rows: list[int] = []
    for row in range(len(leads)):
        if len(rows) == most:
            break
        if place(row, set()):
            rows.append(row)
    return np.array(rows, np.int64)


def _best_overlap(
    proposals: Ranking, videos: NDArray[np.str_], spans: Doubles, reach: float | None
) -> Doubles:
    """Return the share of every moment that lies in every proposal's window, (moments, proposals)."""
    windows = proposals.spans + np.array([-1.0, 1.0]) * (reach or 0.0)
    starts = np.maximum(spans[:, None, 0], windows[None, :, 0])
    ends = np.minimum(spans[:, None, 1], windows[None, :, 1])
    shares = np.maximum(ends - starts, 0.0) / (spans[:, 1] - spans[:, 0])[:, None]
    return np.asarray(np.where(videos[:, None] == proposals.videos[None, :], shares, 0.0))
