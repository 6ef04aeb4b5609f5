"""What a page says of every query: its figures by column, and where its moments lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.collection.annotations import JudgedQuery
from trainer.evaluation.html.timelines import Lengths, Track, tracks
from trainer.evaluation.judged import EMPTY, Doubles, Rankings, Right, Truth
from trainer.evaluation.scores import Scores

SHOWN = ("NDCG@10,IoU>=0.5", "NDCG@10,IoU>=0.7")
# As NDCG counts: any relevant moment, at the first threshold of `SHOWN`.
_ANY = Right(grade=1e-9, iou=0.5)
WORST = 12


@dataclass(frozen=True, slots=True)
class Row:
    """A query. values: of the table's columns; None where a figure does not count."""

    query: JudgedQuery
    values: Sequence[float | None]

    @property
    def anchor(self) -> str:
        """The name of its timelines on the page."""
        return f"q{self.query.query_id}"


@dataclass(frozen=True, slots=True)
class Drawn:
    """A query whose timelines are drawn. value: why it is among them."""

    row: Row
    value: float
    tracks: Sequence[Track]


def columns(scores: Mapping[str, Scores]) -> list[str]:
    """Return the headings of `rows`: the first measures of every ranking, the rank of the first right one."""
    return [
        *(f"{name} {measure}" for measure in SHOWN for name in scores),
        *(f"{name} first right" for name in scores),
    ]


def rows(
    queries: Sequence[JudgedQuery], truth: Truth, found: Mapping[str, Rankings], scores: Mapping[str, Scores]
) -> list[Row]:
    """Return the figures of every judged query, in the order of the truth."""
    tables = [_by_query(scores[name], measure) for measure in SHOWN for name in scores]
    table = []
    for query in queries:
        figures = [column.get(query.query_id) for column in tables]
        judged = truth[query.query_id]
        for name in scores:
            right = _ANY.moments(found[name].get(query.query_id, EMPTY), judged)
            figures.append(float(right.argmax() + 1) if right.any() else None)
        table.append(Row(query, figures))
    return table


def drawn(
    table: Sequence[Row],
    values: Mapping[int, float],
    truth: Truth,
    found: Mapping[str, Rankings],
    seconds: Lengths,
) -> list[Drawn]:
    """Return the queries of the lowest values, lowest first, with their timelines."""
    kept = [row for row in table if row.query.query_id in values]
    kept.sort(key=lambda row: (values[row.query.query_id], row.query.query_id))
    return [_drawn(row, values[row.query.query_id], truth, found, seconds) for row in kept[:WORST]]


def _drawn(row: Row, value: float, truth: Truth, found: Mapping[str, Rankings], seconds: Lengths) -> Drawn:
    number = row.query.query_id
    judged = truth[number]
    rankings = {name: ranked.get(number, EMPTY) for name, ranked in found.items()}
    right = {name: _ANY.moments(ranking, judged).tolist() for name, ranking in rankings.items()}
    return Drawn(row, value, tracks(judged, rankings, right, seconds))


def first_values(scores: Scores) -> dict[int, float]:
    """Return the first measure of the queries that it counts."""
    return {query: value for query, value in _by_query(scores, SHOWN[0]).items() if value is not None}


def _by_query(scores: Scores, measure: str) -> dict[int, float | None]:
    values: Doubles = scores.values[:, scores.names.index(measure)]
    numbers = [None if np.isnan(value) else float(value) for value in values]
    return dict(zip(scores.queries.tolist(), numbers, strict=True))
