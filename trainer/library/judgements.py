"""The judgements of a collection: COLLECTION/feedback.sqlite, on disk when `record` returns.

The library process alone writes it while a collection is served. A judgement is never changed: a later one of
the same person takes its place where they are read (trainer.formats.feedback).
"""

import sqlite3
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

from engine import wire
from engine.errors import InvalidInput, Overloaded, quoted
from engine.files import make_folder, sync
from spr.v1.feedback_service_pb2 import Judgement
from trainer.library.database import Database

FILE = "feedback.sqlite"
MOST = 1_000_000
PAGE, LARGEST_PAGE = 100, 1000
_COLUMNS = "judgements (id, query, video, message) values (?, ?, ?, ?)"
FORMAT = 1
SCHEMA = """
create table if not exists judgements (
    number  integer primary key autoincrement,
    id      text not null unique,
    query   text not null,
    video   text not null,
    message blob not null
) strict;
create index if not exists by_query on judgements (query, number);
create index if not exists by_video on judgements (video, number);
"""


class Judgements:
    """What people said of a collection's moments; used from many threads.

    most: judgements that are kept; more are refused.
    """

    def __init__(self, collection: Path, most: int = MOST) -> None:
        lost = "the judgements in it are lost, no video is"
        self._file = Database(collection / FILE, SCHEMA, FORMAT, lost, "FEEDBACK_CORRUPT")
        self._most = most

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def record(self, judgements: Sequence[Judgement]) -> list[Judgement]:
        """Keep judgements, all or none, durably; return them as they are kept.

        InvalidInput for an id that another judgement has; Overloaded where there are too many.
        """
        with self._file.changing() as database:
            kept = [self._kept(database, place, one) for place, one in enumerate(judgements)]
            if database.execute("select count(*) from judgements").fetchone()[0] > self._most:
                message = f"{self._most} judgements are kept, which is the limit: export and delete old ones"
                raise Overloaded(message, "FEEDBACK_FULL")
            return kept

    def _kept(self, database: sqlite3.Connection, place: int, given: Judgement) -> Judgement:
        judgement = Judgement()
        judgement.CopyFrom(given)
        judgement.id = judgement.id or uuid.uuid4().hex
        judgement.create_time.FromNanoseconds(time.time_ns())
        known = database.execute("select message from judgements where id = ?", (judgement.id,)).fetchone()
        if known is None:
            columns = (judgement.id, judgement.query, judgement.video_id, judgement.SerializeToString())
            database.execute(
                "insert into judgements (id, query, video, message) values (?, ?, ?, ?)", columns
            )
            return judgement
        there = Judgement.FromString(known["message"])
        if _said(there) != _said(judgement):
            message = f"id {quoted(judgement.id)} is that of another judgement: give each an id of its own"
            raise InvalidInput(message, field=f"judgements[{place}].id")
        return there

    def listed(
        self, query: str = "", video: str = "", before: int = 0, limit: int = PAGE
    ) -> tuple[list[Judgement], int]:
        """Return judgements, newest first, and the number to go on before, 0 after the last."""
        wanted = {"query = ?": query, "video = ?": video, "number < ?": before}
        where = " and ".join(["true", *(condition for condition, value in wanted.items() if value)])
        values = [value for value in wanted.values() if value]
        asked = f"select number, message from judgements where {where} order by number desc limit ?"
        with self._file.reading() as database:
            rows = database.execute(asked, [*values, limit + 1]).fetchall()
            found = [Judgement.FromString(row["message"]) for row in rows[:limit]]
        return found, rows[limit - 1]["number"] if len(rows) > limit else 0

    def all(self) -> list[Judgement]:
        """Return every judgement, oldest first."""
        with self._file.reading() as database:
            rows = database.execute("select message from judgements order by number").fetchall()
            return [Judgement.FromString(row["message"]) for row in rows]

    def delete(self, ids: Sequence[str]) -> int:
        """Forget judgements, durably; return how many there were."""
        with self._file.changing() as database:
            marks = ", ".join("?" * len(ids))
            return database.execute(f"delete from judgements where id in ({marks})", list(ids)).rowcount

    def copy(self) -> bytes:
        """Return the file as it is at one instant."""
        with tempfile.TemporaryDirectory(prefix="spr-") as folder:
            target = Path(folder) / FILE
            with self._file.reading() as database:
                database.execute("vacuum into ?", (str(target),))
            return target.read_bytes()

    def merge(self, content: bytes) -> int:
        """Add what another file has and this one lacks, by id; return how many."""
        with tempfile.TemporaryDirectory(prefix="spr-") as folder:
            path = Path(folder) / FILE
            path.write_bytes(content)
            other = Judgements(Path(folder))
            try:
                theirs = other.all()
            finally:
                other.close()
        with self._file.changing() as database:
            add = f"insert or ignore into {_COLUMNS}"
            return sum(database.execute(add, _row(one)).rowcount for one in theirs)


def stored(collection: Path) -> list[Judgement]:
    """Return every judgement of a collection on disk, oldest first; [] where it has none."""
    if not (collection / FILE).is_file():
        return []
    judgements = Judgements(collection)
    try:
        return judgements.all()
    finally:
        judgements.close()


def copied(collection: Path) -> bytes:
    """Return a collection's file at one instant, b"" where it has none."""
    if not (collection / FILE).is_file():
        return b""
    judgements = Judgements(collection)
    try:
        return judgements.copy()
    finally:
        judgements.close()


def merged(collection: Path, content: bytes) -> int:
    """Add a file's judgements to those of a collection; return how many are new."""
    make_folder(collection)
    judgements = Judgements(collection)
    try:
        added = judgements.merge(content)
    finally:
        judgements.close()
    sync(collection)
    return added


def before(token: str) -> int:
    """Return the number that a page goes on before, 0 for the first; InvalidInput for what is no token."""
    if not token:
        return 0
    if not (token.isascii() and token.isdecimal() and 0 < len(token) < 19):
        raise InvalidInput(
            f"page_token {quoted(token)} is garbled; list from the first page", field="page_token"
        )
    return int(token)


def span_of(judgement: Judgement) -> tuple[float, float]:
    """Return a judgement's span in seconds."""
    span = judgement.span
    return wire.duration_from_pb(span.start_offset), wire.duration_from_pb(span.end_offset)


def _row(judgement: Judgement) -> tuple[str, str, str, bytes]:
    return judgement.id, judgement.query, judgement.video_id, judgement.SerializeToString()


def _said(judgement: Judgement) -> bytes:
    said = Judgement()
    said.CopyFrom(judgement)
    said.ClearField("create_time")
    return said.SerializeToString(deterministic=True)
