"""Catalogues: the videos of a part by number, and those of a version by ordinal.

A number is a video's place among the sorted ids of its part; an ordinal is its place among the sorted ids of
all living videos of a version. A part's catalogue is a SQLite file, readable with any client; it is loaded
once, into columns.
"""

import contextlib
import errno
import functools
import itertools
import os
import sqlite3
from collections.abc import Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.entries import refuse
from engine.errors import NotFound, quoted
from engine.facts import Facts
from engine.files import MALFORMED, sync
from engine.parts import REMEDY
from engine.printable import in_one_form
from engine.types import Doubles, Ordinals

CATALOGUE = "catalog.sqlite"

_SCHEMA = """
create table videos (
    number   integer primary key,
    id       text    not null unique,
    uri      text    not null,
    duration real    not null,
    segments integer not null
) strict;
"""
_Row = tuple[int, str, str, float, int]


@dataclass(frozen=True, eq=False)
class PartCatalogue:
    """Columns over the videos of a part, row = number; ids sorted.

    ids, uris: n strings. durations: (n,) float64 seconds. segments: (n,) int32 segment counts. facts: None
    where nothing is known.
    """

    ids: list[str]
    uris: list[str]
    durations: Doubles
    segments: Ordinals
    facts: Facts | None = None

    def __post_init__(self) -> None:
        _check_columns(self.ids, (self.uris, self.durations, self.segments, self.known.labels))

    @property
    def known(self) -> Facts:
        """What is known of the videos."""
        return self.facts or Facts.unknown(len(self.ids))

    def __len__(self) -> int:
        return len(self.ids)

    @staticmethod
    def open(part: Path) -> "PartCatalogue":
        """Load the catalogue of a part's directory, read-only; Mismatch for a damaged file."""
        path = part / CATALOGUE
        if not path.is_file():
            raise refuse(f"{path} is missing: {REMEDY}.")
        uri = f"{path.resolve().as_uri()}?mode=ro&immutable=1"
        query = "select number, id, uri, duration, segments from videos order by number"
        try:
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as database:
                rows: list[_Row] = database.execute(query).fetchall()
                numbers, ids, uris, durations, segments = zip(*rows, strict=True) if rows else ((),) * 5
                if list(numbers) != list(range(len(rows))):
                    raise ValueError("it skips a number")
                facts = Facts.read(database, len(rows))
            columns = np.array(durations, np.float64), np.array(segments, np.int32)
        # A name or a message of a damaged file may be no text; its columns may hold anything.
        except (sqlite3.DatabaseError, *MALFORMED) as error:
            raise refuse(f"{path} cannot be read ({error}): {REMEDY}.") from None
        return PartCatalogue(list(ids), list(uris), *columns, facts)

    def write(self, part: Path) -> None:
        """Write the catalogue, synced, into a part that is being built."""
        if self.ids != sorted(set(self.ids)):
            raise ValueError("the ids of a catalogue are distinct and sorted")
        columns = self.ids, self.uris, self.durations.tolist(), self.segments.tolist()
        path = part / CATALOGUE
        try:
            with contextlib.closing(sqlite3.connect(path)) as database, database:
                database.execute("pragma journal_mode = off")
                database.executescript(_SCHEMA)
                rows = zip(range(len(self)), *columns, strict=True)
                database.executemany("insert into videos values (?, ?, ?, ?, ?)", rows)
                self.known.write(database)
        except sqlite3.OperationalError as error:
            # The file is private to this build, so a failure is the disk's.
            number = errno.ENOSPC if error.sqlite_errorcode == sqlite3.SQLITE_FULL else errno.EIO
            raise OSError(number, os.strerror(number), str(path)) from error
        sync(path)

    def of(self, numbers: NDArray[np.integer]) -> "PartCatalogue":
        """Return the rows of some videos, in that order."""
        chosen = numbers.tolist()
        ids, uris = [self.ids[n] for n in chosen], [self.uris[n] for n in chosen]
        return PartCatalogue(
            ids, uris, self.durations[numbers], self.segments[numbers], self.known.of(numbers)
        )


@dataclass(frozen=True, eq=False)
class Catalogue:
    """Columns over the living videos of a version, row = ordinal; ids sorted.

    As `PartCatalogue`, and shards: (n,) int32 number of the shard that holds the video.
    """

    ids: list[str]
    uris: list[str]
    durations: Doubles
    segments: Ordinals
    shards: Ordinals
    facts: Facts

    def __post_init__(self) -> None:
        columns = (self.uris, self.durations, self.segments, self.shards, self.facts.labels)
        _check_columns(self.ids, columns)

    def __len__(self) -> int:
        return len(self.ids)

    @functools.cached_property
    def _ordinals(self) -> dict[str, int]:
        return {video: ordinal for ordinal, video in enumerate(self.ids)}

    @functools.cached_property
    def _forms(self) -> dict[str, int]:
        """Ordinals by id in one Unicode form, of ids that may have another."""
        return {in_one_form(video): row for video, row in self._ordinals.items() if not video.isascii()}

    def find(self, video_id: str) -> int | None:
        """Return the ordinal of an id, or of one that is the same but for its Unicode form; None for none."""
        found = self._ordinals.get(video_id)
        if found is None and not video_id.isascii():
            return self._forms.get(in_one_form(video_id))
        return found

    def ordinal(self, video_id: str) -> int:
        """Return a video's ordinal, in whichever Unicode form its id is typed.

        NotFound when the version does not hold it.
        """
        found = self.find(video_id)
        if found is None:
            message = f"Video {quoted(video_id)} is not in this version: add it with `spr add`."
            raise NotFound(message, reason="VIDEO_NOT_FOUND")
        return found

    def __contains__(self, video_id: object) -> bool:
        """Whether it holds this very id: what is added or deleted is no other video."""
        return video_id in self._ordinals


def merged(
    parts: Sequence[PartCatalogue], shards: Sequence[int], deleted: Sequence[Ordinals]
) -> tuple[Catalogue, list[Ordinals]]:
    """Merge the catalogues of a version's parts; return it and each part's ordinals (videos,), -1 if deleted.

    shards: the number of each part's shard. deleted: numbers of each part's deleted videos. ValueError with
    the id of a video that lives twice.
    """
    alive = [np.ones(len(part), np.bool_) for part in parts]
    for mask, numbers in zip(alive, deleted, strict=True):
        mask[numbers] = False
    living = [part.of(np.flatnonzero(mask)) for part, mask in zip(parts, alive, strict=True)]
    ids = [video for part in living for video in part.ids]
    # Sorted runs: Python's sort merges them.
    order = sorted(range(len(ids)), key=ids.__getitem__)
    names = [ids[row] for row in order]
    twice = next((a for a, b in itertools.pairwise(names) if a == b), None)
    if twice is not None:
        raise ValueError(f"video {twice!r} lives in two parts")
    uris = [uri for part in living for uri in part.uris]
    numbers = np.repeat(np.asarray(shards, np.int32), [len(part) for part in living])
    none = np.zeros(0)
    catalogue = Catalogue(
        names,
        [uris[row] for row in order],
        np.concatenate([none, *(part.durations for part in living)])[order],
        np.concatenate([none.astype(np.int32), *(part.segments for part in living)])[order],
        numbers[order],
        Facts.joined([part.known for part in living]).of(np.asarray(order, np.int64)),
    )
    places = np.empty(len(ids), np.int32)
    places[order] = np.arange(len(ids), dtype=np.int32)
    return catalogue, _per_part(places, alive)


def _per_part(places: Ordinals, alive: Sequence[NDArray[np.bool_]]) -> list[Ordinals]:
    found, begin = [], 0
    for mask in alive:
        ordinals = np.full(len(mask), -1, np.int32)
        count = int(mask.sum())
        ordinals[mask] = places[begin : begin + count]
        found.append(ordinals)
        begin += count
    return found


def _check_columns(ids: list[str], columns: Sequence[Sized]) -> None:
    if any(len(column) != len(ids) for column in columns):
        raise ValueError(f"columns of {[len(column) for column in columns]} rows for {len(ids)} ids")
