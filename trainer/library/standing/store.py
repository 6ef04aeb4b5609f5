"""The durable record of a collection's standing searches: COLLECTION/standing.sqlite.

A version's new videos are cut into batches when it becomes current, and each search goes through them in
order. That a batch was judged and what it matched are one transaction, so no video is missed or judged twice,
whenever the process ends.
"""

import json
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engine import versions
from engine.errors import InvalidInput, NotFound, Overloaded, SprError, quoted
from spr.v1.standing_service_pb2 import Match, StandingSearch
from trainer.library.database import Database
from trainer.library.standing.rows import FORMAT, SCHEMA, Batch, Living, Search, match_of

FILE = "standing.sqlite"
MOST = 1000  # standing searches of a collection
AT_ONCE = 16  # videos of a batch: so many are judged again after a kill
KEPT = 100_000  # matches, the newest
_LAST = "select coalesce(max(seq), 0) from sqlite_sequence where name = ?"
_OPEN = "number > ? and only in (0, ?)"


class Store:
    """The standing searches of one collection; used from many threads. last: the newest match's number."""

    def __init__(self, collection: Path, name: str) -> None:
        self.collection, self.name = collection, name
        lost = "standing searches and their matches are lost, no video is"
        self.database = Database(collection / FILE, SCHEMA, FORMAT, lost, "STANDING_CORRUPT")
        # One thread at a time reads which version is current, and notes its videos.
        self._noting = threading.Lock()
        with self.database.reading() as database:
            self.last = int(database.execute(_LAST, ("matches",)).fetchone()[0])
            row = database.execute("select version from state").fetchone()
        self._noted = "" if row is None else str(row[0])

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def create(self, asked: StandingSearch, secret: bytes, existing: bool) -> Search:
        """Note a search, durably; the one there is where its id is known.

        Videos that are added from now on are judged; with `existing`, those that are there too. InvalidInput
        for the id of another search, Overloaded where there are MOST.
        """
        with self._noting:
            living = Living.of(self.collection) if versions.newest(self.collection) else Living("", {})
            with self.database.changing() as database:
                known = database.execute("select * from searches where id = ?", (asked.id,)).fetchone()
                if known is not None:
                    return _same(self._of(known), asked)
                if database.execute("select count(*) from searches").fetchone()[0] >= MOST:
                    message = f"there are {MOST} standing searches, which is the limit; delete one first"
                    raise Overloaded(message, retry_after=60.0)
                _note(database, living, self._is_back(database, living.version))
                done = database.execute(_LAST, ("batches",)).fetchone()[0]
                add = "insert into searches (id, asked, secret, done) values (?, ?, ?, ?) returning *"
                row = database.execute(add, (asked.id, asked.SerializeToString(), secret, done)).fetchone()
                if existing:
                    _cut(database, sorted(living.marks), row["number"])
            self._noted = living.version
        return Search.of(row)

    def delete(self, name: str) -> None:
        """Forget a search and its matches; NotFound where there is none of that id."""
        with self.database.changing() as database:
            number = number_of(database, name)
            for table, column in (("searches", "number"), ("matches", "search"), ("deliveries", "search")):
                database.execute(f"delete from {table} where {column} = ?", (number,))
            _tidy(database)

    def searches(self) -> list[Search]:
        """Return all, oldest first."""
        with self.database.reading() as database:
            rows = database.execute("select * from searches order by number").fetchall()
            return [self._of(row) for row in rows]

    def _of(self, row: Any) -> Search:
        """Return a search, of the collection as it is called now: it may have been renamed since."""
        found = Search.of(row)
        found.asked.collection = self.name
        return found

    def note_current(self) -> None:
        """Cut the videos that are new in the current version into batches, unless nobody waits for them."""
        with self._noting:
            version = versions.newest(self.collection)
            if version in (None, self._noted) or not self._any():
                return
            living = Living.of(self.collection)
            with self.database.changing() as database:
                _note(database, living, self._is_back(database, living.version))
            self._noted = living.version

    def next_batch(self, search: Search) -> Batch | None:
        """Return what a search is to judge next."""
        query = f"select * from batches where {_OPEN} order by number limit 1"
        with self.database.reading() as database:
            row = database.execute(query, (search.done, search.number)).fetchone()
            return None if row is None else Batch(row["number"], json.loads(row["videos"]))

    def judged(self, search: Search, batch: Batch, found: Sequence[Match]) -> None:
        """Note that a search has judged a batch, and its matches, all or nothing."""
        with self.database.changing() as database:
            done = "update searches set done = ?, matches = matches + ? where number = ? and done < ?"
            values = (batch.number, len(found), search.number, batch.number)
            if not database.execute(done, values).rowcount:
                return  # it was deleted meanwhile
            for match in found:
                add = "insert into matches (search, found) values (?, ?)"
                number = database.execute(add, (search.number, match.SerializeToString())).lastrowid
                if search.asked.webhook:
                    send = "insert into deliveries (number, search, due) values (?, ?, ?)"
                    database.execute(send, (number, search.number, time.time()))
            last = int(database.execute(_LAST, ("matches",)).fetchone()[0])
            database.execute("delete from matches where number <= ?", (last - KEPT,))
            database.execute("delete from deliveries where number <= ?", (last - KEPT,))
            _tidy(database)
        self.last = last

    def after(self, number: int, name: str, limit: int) -> list[Match]:
        """Return matches behind a number, oldest first. name: of one search, "" for all."""
        return self._matches("number > ?", "number", number, name, limit)

    def before(self, number: int, name: str, limit: int) -> list[Match]:
        """Return matches before a number, newest first."""
        return self._matches("number < ?", "number desc", number, name, limit)

    def _matches(self, where: str, order: str, number: int, name: str, limit: int) -> list[Match]:
        with self.database.reading() as database:
            values: list[object] = [number]
            if name:
                where, values = f"{where} and search = ?", [number, number_of(database, name)]
            query = f"select * from matches where {where} order by {order} limit ?"
            return [match_of(row) for row in database.execute(query, (*values, limit)).fetchall()]

    def _is_back(self, database: sqlite3.Connection, version: str) -> bool:
        """Whether a version is one of before that is served again, by a rollback say, and no new one."""
        row = database.execute("select version from newest").fetchone()
        newest = "" if row is None else str(row["version"])
        if not (version and newest) or _number(version) > _number(newest):
            return False
        try:
            # Where a rollback and `spr gc` took the newest one away its number is given again.
            return versions.resolve(self.collection, str(_number(newest))) == newest
        except SprError:
            return False

    def _any(self) -> bool:
        with self.database.reading() as database:
            return database.execute("select 1 from searches limit 1").fetchone() is not None


def number_of(database: sqlite3.Connection, name: str) -> int:
    """Return the number of the search of an id; NotFound."""
    row = database.execute("select number from searches where id = ?", (name,)).fetchone()
    if row is None:
        message = f"there is no standing search {quoted(name)}; `spr admin watches` lists them"
        raise NotFound(message, "STANDING_SEARCH_NOT_FOUND")
    return int(row["number"])


def _same(known: Search, asked: StandingSearch) -> Search:
    first, again = StandingSearch(), StandingSearch()
    for copy, given in ((first, known.asked), (again, asked)):
        copy.CopyFrom(given)
        copy.ClearField("create_time")
    if again != first:
        message = f"id {quoted(asked.id)} is that of another standing search: give every one an id of its own"
        raise InvalidInput(message, field="standing_search.id")
    return known


def _note(database: sqlite3.Connection, living: Living, back: bool) -> None:
    """Cut what is new since the last version into batches, and remember the version's videos.

    back: it is one of before, whose videos are not new.
    """
    known = dict(database.execute("select id, mark from videos").fetchall())
    fresh = sorted(video for video, mark in living.marks.items() if known.get(video) != mark)
    gone = [(video,) for video in known.keys() - living.marks.keys()]
    if not back and database.execute("select 1 from searches limit 1").fetchone():
        _cut(database, fresh, 0)
    database.executemany("delete from videos where id = ?", gone)
    rows = [(video, living.marks[video]) for video in fresh]
    database.executemany("insert or replace into videos (id, mark) values (?, ?)", rows)
    database.execute("delete from state")
    database.execute("insert into state (version) values (?)", (living.version,))
    if not back:
        database.execute("delete from newest")
        database.execute("insert into newest (version) values (?)", (living.version,))


def _number(version: str) -> int:
    return int(version.partition("-")[0])


def _cut(database: sqlite3.Connection, videos: Sequence[str], only: int) -> None:
    add = "insert into batches (only, videos, count, created) values (?, ?, ?, ?)"
    for start in range(0, len(videos), AT_ONCE):
        batch = videos[start : start + AT_ONCE]
        database.execute(add, (only, json.dumps(batch), len(batch), time.time()))


def _tidy(database: sqlite3.Connection) -> None:
    """Forget the batches that nobody is to judge."""
    database.execute(
        "delete from batches where not exists (select 1 from searches "
        "where done < batches.number and only in (0, searches.number))"
    )
