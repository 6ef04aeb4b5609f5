"""What a store holds, in numbers."""

import time
from collections.abc import Sequence
from typing import NamedTuple

from trainer.library.standing.rows import Search
from trainer.library.standing.store import Store

_OF = """
select matches,
       (select coalesce(sum(count), 0) from batches
        where batches.number > searches.done and only in (0, searches.number)) as waiting,
       (select count(*) from deliveries where search = searches.number and not failed) as deliveries,
       (select count(*) from deliveries where search = searches.number and failed) as failed
from searches where number = ?
"""
_TOTALS = """
select (select count(*) from searches) as searches, (select min(created) from batches) as since,
       (select count(*) from deliveries where not failed) as deliveries
"""


class Numbers(NamedTuple):
    """Of one search: videos that wait, matches, deliveries that wait, and those that were given up."""

    waiting: int
    matches: int
    deliveries: int
    failed: int


class Totals(NamedTuple):
    """Of all. lag: seconds that the oldest video has waited, 0 where none does."""

    searches: int
    lag: float
    deliveries: int


def of(store: Store, searches: Sequence[Search]) -> list[Numbers]:
    """Return the numbers of searches; zeros of one that was deleted meanwhile."""
    found = []
    with store.database.reading() as database:
        for search in searches:
            row = database.execute(_OF, (search.number,)).fetchone()
            values = (
                (0,) * 4
                if row is None
                else (row["waiting"], row["matches"], row["deliveries"], row["failed"])
            )
            found.append(Numbers(*values))
    return found


def totals(store: Store) -> Totals:
    """Return the numbers of a store."""
    with store.database.reading() as database:
        row = database.execute(_TOTALS).fetchone()
    lag = 0.0 if row["since"] is None else max(0.0, time.time() - row["since"])
    return Totals(row["searches"], lag, row["deliveries"])
