"""The catalogue of a generation: its videos by ordinal.

An ordinal is a video's index in the sorted ids of the generation, independent of the number of shards. The
file is SQLite, readable with any client; it is loaded once, into columns.
"""

import contextlib
import errno
import functools
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.errors import Mismatch, NotFound
from engine.types import Doubles, Ordinals

CATALOGUE = "catalog.sqlite"

_SCHEMA = """
create table videos (
    ordinal  integer primary key,
    id       text    not null unique,
    uri      text    not null,
    duration real    not null,
    segments integer not null,
    shard    integer not null
) strict;
"""


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Columns over the videos, row = ordinal.

    ids, uris: n strings. durations: (n,) float64 seconds. segments: (n,) int32 segment counts.
    shards: (n,) int32 number of the shard that holds the video.
    """

    ids: list[str]
    uris: list[str]
    durations: Doubles
    segments: Ordinals
    shards: Ordinals

    def __post_init__(self) -> None:
        columns: tuple[Sequence[str] | NDArray[np.generic], ...]
        columns = (self.uris, self.durations, self.segments, self.shards)
        if any(len(column) != len(self.ids) for column in columns):
            raise ValueError(f"columns of {[len(column) for column in columns]} rows for {len(self.ids)} ids")

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def _ordinals(self) -> dict[str, int]:
        return {video: ordinal for ordinal, video in enumerate(self.ids)}

    def ordinal(self, video_id: str) -> int:
        """Return a video's ordinal; NotFound when the generation does not hold it."""
        try:
            return self._ordinals[video_id]
        except KeyError:
            message = f"Video '{video_id}' is not in this generation: ingest it and run `spr build`."
            raise NotFound(message, reason="VIDEO_NOT_FOUND") from None

    @classmethod
    def open(cls, generation: Path) -> "Catalogue":
        """Load the catalogue of a generation, read-only; Mismatch for a damaged file."""
        path = generation / CATALOGUE
        if not path.is_file():
            raise NotFound(f"{path} does not exist: run `spr build`.", reason="GENERATION_NOT_FOUND")
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        query = "select ordinal, id, uri, duration, segments, shard from videos order by ordinal"
        try:
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
                rows = database.execute(query).fetchall()
        except sqlite3.DatabaseError as error:
            message = f"{path} cannot be read ({error}): build the generation again."
            raise Mismatch(message, reason="GENERATION_CORRUPT") from None
        return cls._from_rows(path, rows)

    @classmethod
    def _from_rows(cls, path: Path, rows: list[tuple[int, str, str, float, int, int]]) -> "Catalogue":
        ordinals, ids, uris, durations, segments, shards = zip(*rows, strict=True) if rows else ((),) * 6
        if list(ordinals) != list(range(len(rows))):
            message = f"{path} skips an ordinal: build the generation again."
            raise Mismatch(message, reason="GENERATION_CORRUPT")
        return cls(
            ids=list(ids),
            uris=list(uris),
            durations=np.array(durations, dtype=np.float64),
            segments=np.array(segments, dtype=np.int32),
            shards=np.array(shards, dtype=np.int32),
        )

    def write(self, generation: Path) -> None:
        """Write the catalogue into a generation that is being built."""
        if self.ids != sorted(set(self.ids)):
            raise ValueError("the ids of a catalogue are distinct and sorted")
        rows = zip(
            range(len(self)),
            self.ids,
            self.uris,
            self.durations.tolist(),
            self.segments.tolist(),
            self.shards.tolist(),
            strict=True,
        )
        path = generation / CATALOGUE
        try:
            with contextlib.closing(sqlite3.connect(path)) as database, database:
                database.execute("pragma journal_mode = off")
                database.executescript(_SCHEMA)
                database.executemany("insert into videos values (?, ?, ?, ?, ?, ?)", rows)
        except sqlite3.OperationalError as error:
            # The file is private to this build, so a failure is the disk's.
            number = errno.ENOSPC if error.sqlite_errorcode == sqlite3.SQLITE_FULL else errno.EIO
            raise OSError(number, os.strerror(number), str(path)) from error
