"""The lines of a part's videos, for evidence and for parts that are made of it: SQLite, opened read-only.

texts.sqlite   table `lines`: video (its number in the part), channel (0 said, 1 written), place among the
               lines of the two, start, end (seconds), text, box_left, box_top, box_right, box_bottom
"""

import contextlib
import errno
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.entries import refuse
from engine.files import MALFORMED, sync
from engine.texts import TEXTS, Line

FILE = "texts.sqlite"
_REMEDY = "copy the part again, or run `spr build`"
_SCHEMA = """
create table lines (
  video integer not null, channel integer not null, place integer not null,
  start real not null, end real not null, text text not null,
  box_left real, box_top real, box_right real, box_bottom real,
  primary key (video, channel, place)
) without rowid
"""
_COLUMNS = "start, end, text, box_left, box_top, box_right, box_bottom"


class PartTexts:
    """What is said and written in the videos of a part, by number; of all threads."""

    def __init__(self, path: Path) -> None:
        """Use `open`."""
        self._path = path
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        # SQLite serializes calls of several threads.
        self._database = sqlite3.connect(uri, uri=True, check_same_thread=False)

    @classmethod
    def open(cls, part: Path) -> "PartTexts | None":
        """Open the lines of a part's directory; None where its videos have none."""
        return cls(part / FILE) if (part / FILE).is_file() else None

    def lines(self, number: int, channel: str, start: float, end: float) -> list[Line]:
        """Return the lines of a video that are there for some time of [start, end), in their order.

        Mismatch for a damaged file.
        """
        query = f"select {_COLUMNS} from lines where video = ? and channel = ? and start < ? and end > ?"
        values = (number, TEXTS.index(channel), end, start)
        try:
            return [
                _line(row) for row in self._database.execute(f"{query} order by place", values).fetchall()
            ]
        except (sqlite3.DatabaseError, *MALFORMED) as error:
            raise refuse(f"{self._path} cannot be read ({error}): {_REMEDY}.") from None

    def all(self, number: int, channel: str) -> list[Line]:
        """Return all lines of a video, as `lines` does."""
        return self.lines(number, channel, -1.0, float("inf"))

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def write_lines(part: Path, videos: Iterable[Sequence[Sequence[Line]]]) -> None:
    """Write the lines of videos, by number, into a part that is being built: those of each of TEXTS."""
    rows = (
        (number, channel, place, line.start, line.end, line.text, *(line.box or (None,) * 4))
        for number, channels in enumerate(videos)
        for channel, lines in enumerate(channels)
        for place, line in enumerate(lines)
    )
    path = part / FILE
    try:
        with contextlib.closing(sqlite3.connect(path)) as database, database:
            database.execute("pragma journal_mode = off")
            database.execute(_SCHEMA)
            database.executemany(f"insert into lines values ({', '.join('?' * 10)})", rows)
    except sqlite3.OperationalError as error:
        # The file is private to this build, so a failure is the disk's.
        number = errno.ENOSPC if error.sqlite_errorcode == sqlite3.SQLITE_FULL else errno.EIO
        raise OSError(number, os.strerror(number), str(path)) from error
    sync(path)


def _line(row: Sequence[Any]) -> Line:
    start, end, text, *box = row
    left, top, right, bottom = box
    return Line(float(start), float(end), str(text), None if left is None else (left, top, right, bottom))
