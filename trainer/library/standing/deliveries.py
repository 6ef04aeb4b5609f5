"""Which matches wait to be sent to webhooks, in the store's file."""

import time
from collections.abc import Collection

from trainer.library.standing.rows import Delivery, Search, match_of
from trainer.library.standing.store import Store

FIRST, LONGEST = 1.0, 3600.0  # seconds between attempts: doubled from the first to the longest
GIVE_UP = 80  # attempts: about three days

_NEXT = """
select matches.number, matches.found, deliveries.attempts, searches.number as search, searches.id,
       searches.asked, searches.secret, searches.done
from deliveries join matches using (number) join searches on searches.number = deliveries.search
where deliveries.number in (select min(number) from deliveries where not failed group by search)
      and deliveries.due not between ? and ? order by deliveries.due limit ?
"""


def due(store: Store, busy: Collection[int], most: int) -> list[Delivery]:
    """Return the oldest match of each webhook whose time has come; none of the searches in `busy`."""
    with store.database.reading() as database:
        now = time.time()
        # Later than any wait: its time is that of a clock which was ahead and was set back.
        rows = database.execute(_NEXT, (now, now + LONGEST, most + len(busy))).fetchall()
    found = [Delivery(match_of(row), _search(row), row["attempts"]) for row in rows]
    return [one for one in found if one.search.number not in busy][:most]


def sent(store: Store, delivery: Delivery) -> None:
    """Note that a match has arrived."""
    with store.database.changing() as database:
        database.execute("delete from deliveries where number = ?", (delivery.match.number,))


def refused(store: Store, delivery: Delivery) -> bool:
    """Note that a match has not arrived; whether it was given up. The next ones wait behind it."""
    attempts = delivery.attempts + 1
    again = time.time() + min(LONGEST, FIRST * 2 ** min(delivery.attempts, 30))
    with store.database.changing() as database:
        change = "update deliveries set attempts = ?, due = ?, failed = ? where number = ?"
        failed = attempts >= GIVE_UP
        database.execute(change, (attempts, again, failed, delivery.match.number))
    return failed


def _search(row: object) -> Search:
    asked = dict(row)  # type: ignore[call-overload]
    return Search.of({**asked, "number": asked["search"]})
