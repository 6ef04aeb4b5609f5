"""What is known of videos besides their content: labels, the file's date, when they were added."""

import json
import math
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.types import Doubles

_SCHEMA = """
create table facts (
    number integer primary key,
    labels text not null,
    date   real,
    added  real
) strict;
"""
MOST_LABELS = 100
LONGEST_LABEL = 100


@dataclass(frozen=True, eq=False)
class Facts:
    """Columns over videos.

    labels: n tuples, each sorted. dates, added: (n,) float64 seconds since 1970, NaN where unknown.
    """

    labels: list[tuple[str, ...]]
    dates: Doubles
    added: Doubles

    def __len__(self) -> int:
        return len(self.labels)

    @staticmethod
    def unknown(n: int) -> "Facts":
        """Return the facts of n videos of which nothing is known."""
        return Facts([()] * n, np.full(n, np.nan), np.full(n, np.nan))

    @staticmethod
    def of_records(infos: Sequence[Mapping[str, Any]]) -> "Facts":
        """Return what the feature store notes of videos: a date that was told counts before the file's."""
        labels = [tuple(sorted(info.get("labels", ()))) for info in infos]
        return Facts(
            labels,
            np.array([date_of(info) for info in infos], np.float64),
            np.array([info.get("added", math.nan) for info in infos], np.float64),
        )

    @staticmethod
    def joined(several: Sequence["Facts"]) -> "Facts":
        """Return the rows of all, one after another."""
        none = np.zeros(0)
        return Facts(
            [row for facts in several for row in facts.labels],
            np.concatenate([none, *(facts.dates for facts in several)]),
            np.concatenate([none, *(facts.added for facts in several)]),
        )

    def of(self, rows: NDArray[np.integer]) -> "Facts":
        """Return some rows, in that order."""
        return Facts([self.labels[row] for row in rows.tolist()], self.dates[rows], self.added[rows])

    @staticmethod
    def read(database: sqlite3.Connection, n: int) -> "Facts":
        """Read the table of a catalogue of n videos; ValueError for one that is damaged.

        Catalogues of before release 0.2 have none.
        """
        if not database.execute("select 1 from sqlite_master where name = 'facts'").fetchone():
            return Facts.unknown(n)
        rows = database.execute("select number, labels, date, added from facts order by number").fetchall()
        numbers, texts, dates, added = zip(*rows, strict=True) if rows else ((),) * 4
        if list(numbers) != list(range(n)):
            raise ValueError(f"its facts are not of {n} videos")
        # Few differ: of half a million videos most have none.
        labels = {text: _labels(text) for text in set(texts)}
        times = (
            np.array([math.nan if value is None else value for value in column], np.float64)
            for column in (dates, added)
        )
        return Facts([labels[text] for text in texts], *times)

    def write(self, database: sqlite3.Connection) -> None:
        """Write the table."""
        database.executescript(_SCHEMA)
        labels = (json.dumps(row, ensure_ascii=False) for row in self.labels)
        times = (
            [None if value != value else value for value in c.tolist()] for c in (self.dates, self.added)
        )
        rows = zip(range(len(self)), labels, *times, strict=True)
        database.executemany("insert into facts values (?, ?, ?, ?)", rows)


def date_of(info: Mapping[str, Any]) -> float:
    """Return a video's date by a record of the feature store, seconds since 1970; NaN for none."""
    if "date" in info:
        return float(info["date"])
    return info["mtime_ns"] / 1e9 if "mtime_ns" in info else math.nan


def _labels(text: str) -> tuple[str, ...]:
    found = json.loads(text)
    if not isinstance(found, list) or not all(isinstance(label, str) for label in found):
        raise ValueError("its labels are no list of texts")
    return tuple(found)
