"""The feature store: rows of vectors by video, safe against a kill at any moment.

    store.json       what is in it: dtype, streams (dim, step), meta
    <stream>.bin     rows, little-endian, one after another
    journal.jsonl    one line a video, written after its rows are on disk

Append-only. The journal is the truth: the last line of an id wins, rows no line names do not exist. A kill
leaves at most rows without a line, or a line without its end; the next writer cuts both off. Readers map
the rows, take no lock, and see the videos that were complete when they opened (or last called `refresh`).
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch, NotFound
from workers.store_format import (
    DTYPES,
    NewVideo,
    Stream,
    VideoRecord,
    cast_rows,
    check_header,
    check_sizes,
    journal_line,
    lock,
    parse,
    read_header,
    write_at,
    write_header,
)

__all__ = ["FeatureStore", "NewVideo", "Stream", "VideoRecord"]


class FeatureStore:
    """Vectors of many videos in a few memory-mapped files. One writer at a time, any number of readers."""

    def __init__(self, path: Path, mode: Literal["r", "a"]) -> None:
        """Use `open`, `create` or `ensure`."""
        self.path = path
        self.streams, self.dtype, self.meta = read_header(path)
        self._records: dict[str, VideoRecord] = {}
        self._ends = dict.fromkeys(self.streams, 0)
        self._maps: dict[str, NDArray[Any]] = {}
        self._read_to = 0
        self._journal = lock(path) if mode == "a" else None
        try:
            self.refresh()
            self._bins = self._recover() if self._journal else {}
        except BaseException:
            self.close()
            raise

    @staticmethod
    def open(path: str | Path, mode: Literal["r", "a"] = "r") -> "FeatureStore":
        """Open a store for reading, or as its only writer.

        Raises NotFound where there is none, Mismatch where files are damaged, Unavailable for a 2nd writer.
        """
        return FeatureStore(Path(path), mode)

    @staticmethod
    def create(
        path: str | Path,
        streams: Mapping[str, Stream],
        dtype: str = "float16",
        meta: Mapping[str, Any] | None = None,
    ) -> "FeatureStore":
        """Make an empty store and open it for appending; InvalidInput where one exists already."""
        path = Path(path)
        check_header(path, streams, dtype)
        path.mkdir(parents=True, exist_ok=True)
        with lock(path):
            if (path / "store.json").exists():
                raise InvalidInput(
                    f"there is already a feature store in {path}; open it, or choose another path"
                )
            write_header(path, streams, dtype, meta or {})
        return FeatureStore(path, "a")

    @staticmethod
    def ensure(
        path: str | Path,
        streams: Mapping[str, Stream],
        dtype: str = "float16",
        meta: Mapping[str, Any] | None = None,
    ) -> "FeatureStore":
        """Open for appending, made first where absent, and note `meta` if given.

        Raises Mismatch where streams or dtype differ.
        """
        path = Path(path)
        if not (path / "store.json").exists():
            return FeatureStore.create(path, streams, dtype, meta)
        store = FeatureStore.open(path, "a")
        if store.streams != dict(streams) or store.dtype != DTYPES.get(dtype):
            store.close()
            raise Mismatch(
                f"the feature store in {path} holds {store.streams} as {store.dtype.name}, "
                f"not {dict(streams)} as {dtype}; use the settings it was made with, or another collection"
            )
        if meta is not None and store.meta != dict(meta):
            write_header(path, streams, dtype, meta)
            store.meta = dict(meta)
        return store

    def refresh(self) -> None:
        """Take in the videos completed since the last look.

        Raises Mismatch where a whole line does not parse or a .bin file is shorter than the journal says.
        """
        with (self.path / "journal.jsonl").open("rb") as journal:
            journal.seek(self._read_to)
            new = journal.read()
        whole = new[: new.rfind(b"\n") + 1]
        lines = whole.splitlines(keepends=True)
        for number, line in enumerate(lines):
            try:
                record = parse(line, self.streams)
            except (ValueError, KeyError, TypeError) as error:
                # Blocks reach a disk in any order: the very last line may be torn and yet end well.
                if number == len(lines) - 1 and len(whole) == len(new):
                    break
                raise Mismatch(
                    f"{self.path / 'journal.jsonl'} is damaged at byte {self._read_to} ({error}); "
                    f"restore it from a copy, or remove {self.path} and ingest again"
                ) from error
            self._records[record.id] = record
            self._read_to += len(line)
            for name, (first, rows) in record.streams.items():
                self._ends[name] = max(self._ends[name], first + rows)
        check_sizes(self.path, self.streams, self.dtype, self._ends)

    def ids(self) -> list[str]:
        """Return the ids of all videos in Python's string order."""
        return sorted(self._records)

    def __contains__(self, video_id: object) -> bool:
        return video_id in self._records

    def __len__(self) -> int:
        return len(self._records)

    def record(self, video_id: str) -> VideoRecord:
        """Return what is known of a video; NotFound for an unknown id."""
        try:
            return self._records[video_id]
        except KeyError:
            raise NotFound(
                f"video {video_id!r} is not in the feature store {self.path}; ingest it first"
            ) from None

    def rows(self, video_id: str, stream: str) -> NDArray[Any]:
        """Return a video's rows of a stream: (n, dim), read-only, mapped from the file."""
        if stream not in self.streams:
            raise NotFound(
                f"the feature store {self.path} has no stream {stream!r}, only {sorted(self.streams)}"
            )
        first, rows = self.record(video_id).streams[stream]
        return self._mapped(stream)[first : first + rows]

    def append(
        self,
        video_id: str,
        arrays: Mapping[str, NDArray[Any]],
        uri: str = "",
        sha256: str = "",
        duration: float = 0.0,
        info: Mapping[str, Any] | None = None,
    ) -> VideoRecord:
        """Add a video, or replace it; on return it survives a kill and a power cut.

        arrays: stream -> (n, dim) real numbers, cast to the store's dtype; a stream left out has 0 rows.
        Raises InvalidInput for a wrong shape or name or a value that is not finite in the store's dtype.
        """
        self.extend([NewVideo(video_id, arrays, uri, sha256, duration, info or {})])
        return self._records[video_id]

    def extend(self, videos: Sequence[NewVideo]) -> None:
        """Add or replace videos as `append` does, with one wait for the disk for all of them.

        After a kill some of them may be there, each whole.
        """
        journal = self._writable()
        ends, records, parts = dict(self._ends), [], {name: list[bytes]() for name in self.streams}
        for new in videos:
            spans = {}
            for name in {**self.streams, **new.arrays}:
                rows = cast_rows(new, name, self.streams, self.dtype)
                spans[name] = (ends[name], len(rows))
                ends[name] += len(rows)
                parts[name].append(rows.tobytes())
            records.append(
                VideoRecord(new.id, new.uri, new.sha256, float(new.duration), spans, dict(new.info))
            )
        lines = b"".join(journal_line(record) for record in records)
        for name, part in parts.items():
            if ends[name] > self._ends[name]:
                width = self.dtype.itemsize * self.streams[name].dim
                write_at(self._bins[name], self._ends[name] * width, b"".join(part))
        self._log(journal, records, lines)
        self._ends = ends

    def revise(self, video_id: str, *, uri: str, info: Mapping[str, Any]) -> VideoRecord:
        """Change what is noted of a video and keep its rows."""
        record = replace(self.record(video_id), uri=uri, info=dict(info))
        self._log(self._writable(), [record], journal_line(record))
        return record

    def close(self) -> None:
        """Give up the writer's lock; arrays already handed out stay valid."""
        for handle in [*getattr(self, "_bins", {}).values(), self._journal]:
            if handle is not None:
                handle.close()
        self._journal = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _recover(self) -> dict[str, BinaryIO]:
        """Cut off what a killed writer left behind; return the .bin files open for writing."""
        os.truncate(self.path / "journal.jsonl", self._read_to)
        for name, stream in self.streams.items():
            os.truncate(self.path / f"{name}.bin", self._ends[name] * stream.dim * self.dtype.itemsize)
        return {name: (self.path / f"{name}.bin").open("r+b", buffering=0) for name in self.streams}

    def _writable(self) -> BinaryIO:
        if self._journal is None:
            raise InvalidInput(
                f"the feature store {self.path} is not open for appending; open it with mode 'a'"
            )
        return self._journal

    def _log(self, journal: BinaryIO, records: Sequence[VideoRecord], lines: bytes) -> None:
        write_at(journal, self._read_to, lines)
        self._read_to += len(lines)
        self._records.update((record.id, record) for record in records)

    def _mapped(self, stream: str) -> NDArray[Any]:
        rows, dim = self._ends[stream], self.streams[stream].dim
        if rows == 0:
            return np.empty((0, dim), self.dtype)
        if stream not in self._maps or len(self._maps[stream]) < rows:
            path = self.path / f"{stream}.bin"
            self._maps[stream] = np.asarray(np.memmap(path, self.dtype, "r", shape=(rows, dim)))
        return self._maps[stream]
