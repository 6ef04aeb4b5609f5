"""How standing searches lie in their SQLite file, and what is read of it."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp

from engine.corpus import open_corpus
from spr.v1.standing_service_pb2 import Match, StandingSearch

FORMAT = 1
# A batch is judged by every search with only = 0, or by that search alone. `done` is the last batch that a
# search has judged. Of `videos` are those of the version that was last cut into batches, which `state` names;
# `newest` is the one of the largest number ever: one of before that is served again adds nothing.
SCHEMA = """
create table if not exists searches (
    number  integer primary key autoincrement,
    id      text    not null unique,
    asked   blob    not null,
    secret  blob    not null,
    done    integer not null,
    matches integer not null default 0
) strict;
create table if not exists batches (
    number  integer primary key autoincrement,
    only    integer not null,
    videos  text    not null,
    count   integer not null,
    created real    not null
) strict;
create table if not exists videos (id text primary key, mark text not null) strict, without rowid;
create table if not exists state (version text not null) strict;
create table if not exists newest (version text not null) strict;
create table if not exists matches (
    number integer primary key autoincrement,
    search integer not null,
    found  blob    not null
) strict;
create index if not exists by_search on matches (search, number);
create table if not exists deliveries (
    number   integer primary key,
    search   integer not null,
    attempts integer not null default 0,
    due      real    not null,
    failed   integer not null default 0
) strict;
create index if not exists by_due on deliveries (failed, search, number);
"""


@dataclass(frozen=True, slots=True)
class Living:
    """The videos of a version. marks: by id, what another video of that id would have another one of."""

    version: str
    marks: dict[str, str]

    @staticmethod
    def of(collection: Path) -> "Living":
        """Read those of the current version; NotFound without one."""
        corpus = open_corpus(collection)
        rows = corpus.catalogue
        lengths = zip(rows.durations.tolist(), rows.segments.tolist(), strict=True)
        marks = (f"{seconds:.3f} {segments}" for seconds, segments in lengths)
        return Living(corpus.id, dict(zip(rows.ids, marks, strict=True)))


@dataclass(frozen=True, slots=True)
class Search:
    """A standing search on record. secret: of its webhook's signatures."""

    number: int
    asked: StandingSearch
    secret: bytes
    done: int

    @staticmethod
    def of(row: Any) -> "Search":
        """Return that of a row."""
        return Search(row["number"], StandingSearch.FromString(row["asked"]), row["secret"], row["done"])


@dataclass(frozen=True, slots=True)
class Batch:
    """Videos that are judged together."""

    number: int
    videos: list[str]


@dataclass(frozen=True, slots=True)
class Delivery:
    """A match that is to be sent. attempts: so far."""

    match: Match
    search: Search
    attempts: int


def match_of(row: Any) -> Match:
    """Return the match of a row."""
    found = Match.FromString(row["found"])
    found.number = row["number"]
    return found


def now() -> Timestamp:
    """Return the time."""
    return Timestamp(seconds=int(at := time.time()), nanos=int(at % 1 * 1e9))
