"""The feature store's .bin files: rows mapped and checked for readers, appended for the writer."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import numpy as np
from numpy.typing import NDArray

from engine.errors import InvalidInput, Mismatch, argument
from engine.printable import printable
from workers.feature_store.format import NewVideo, Stream, VideoRecord, check_id, checksum, write_at


class RowFiles:
    """The rows of all streams. ends: stream -> where the last row ends that the journal names."""

    def __init__(self, path: Path, streams: Mapping[str, Stream], dtype: np.dtype[Any]) -> None:
        """path: the store's directory."""
        self.path, self._streams, self._dtype = path, streams, dtype
        self.ends = dict.fromkeys(streams, 0)
        self._widths = {name: stream.dim * dtype.itemsize for name, stream in streams.items()}
        self._maps: dict[str, NDArray[Any]] = {}
        self._sound: set[tuple[str, int, int]] = set()
        self._bins: dict[str, BinaryIO] = {}
        self._starts: dict[str, int] = {}

    def note(self, record: VideoRecord) -> None:
        """Take in what the journal says of a video."""
        for name, (first, rows) in record.streams.items():
            self.ends[name] = max(self.ends[name], first + rows)

    def check_sizes(self) -> None:
        """Raise Mismatch where a .bin file has fewer rows than the journal names."""
        for name, end in self.ends.items():
            if self._size(name) < end * self._widths[name]:
                raise Mismatch(
                    f"{self._file(name)} has {self._size(name)} bytes but the journal names "
                    f"{end * self._widths[name]}; restore it from a backup, or move {self.path} away and "
                    "ingest again"
                )

    def unnamed(self) -> Iterator[str]:
        """Yield a sentence for each .bin file with rows behind the last that the journal names."""
        for name, end in self.ends.items():
            if (rows := self._rows_in_file(name) - end) > 0:
                yield (
                    f"{self._file(name)} ends in {rows} rows that no line of the journal names (a write was "
                    "cut short, or lines were lost); they are kept; ingest again what is missing"
                )

    def of(self, record: VideoRecord, stream: str) -> NDArray[Any]:
        """Return a video's rows (n, dim), read-only; Mismatch where they are not as they were stored."""
        if not self.sound(record, stream):
            first, rows = record.streams[stream]
            raise Mismatch(
                f"{self._file(stream)} is damaged: rows {first} to {first + rows - 1}, stream {stream} of "
                f"video {record.id!r}, are not as they were stored; ingest that video again: "
                f"spr ingest {argument(_place(record))}"
            )
        return self._found(record, stream)

    def sound(self, record: VideoRecord, stream: str) -> bool:
        """Whether a video's rows are as they were stored; they are looked at once."""
        key = (stream, *record.streams[stream])
        written = record.checksums.get(stream)
        if (
            written is not None
            and key not in self._sound
            and checksum(self._found(record, stream)) == written
        ):
            self._sound.add(key)
        return written is None or key in self._sound

    def checksums(self, record: VideoRecord) -> dict[str, str]:
        """Return stream -> checksum of a video's rows as they are now."""
        return {stream: checksum(self._found(record, stream)) for stream in self._streams}

    def open(self) -> None:
        """Get ready to write, behind every row that there is."""
        for name in self._streams:
            self._starts[name] = self._rows_in_file(name)
            self._bins[name] = self._file(name).open("r+b", buffering=0)

    def append(self, videos: Sequence[NewVideo]) -> list[VideoRecord]:
        """Write and sync the rows of videos; return what the journal is to say. InvalidInput for bad ones."""
        starts, records = dict(self._starts), []
        parts = {name: list[bytes]() for name in self._streams}
        for new in videos:
            check_id(new.id)
            spans, checksums = {}, {}
            for name in {**self._streams, **new.arrays}:
                rows = cast_rows(new, name, self._streams, self._dtype)
                spans[name], checksums[name] = (starts[name], len(rows)), checksum(rows)
                starts[name] += len(rows)
                parts[name].append(rows.tobytes())
            given = (new.id, new.uri, new.sha256, float(new.duration))
            records.append(VideoRecord(*given, spans, dict(new.info), checksums))
        for name, part in parts.items():
            if starts[name] > self._starts[name]:
                write_at(self._bins[name], self._starts[name] * self._widths[name], b"".join(part))
        # Before the journal: rows whose line cannot be written are not overwritten either.
        self._starts = starts
        return records

    def close(self) -> None:
        """Close what `open` opened; arrays already handed out stay valid."""
        for handle in self._bins.values():
            handle.close()

    def _file(self, stream: str) -> Path:
        return self.path / f"{stream}.bin"

    def _size(self, stream: str) -> int:
        return self._file(stream).stat().st_size if self._file(stream).exists() else 0

    def _rows_in_file(self, stream: str) -> int:
        return -(-self._size(stream) // self._widths[stream])

    def _found(self, record: VideoRecord, stream: str) -> NDArray[Any]:
        first, rows = record.streams[stream]
        return self._mapped(stream)[first : first + rows]

    def _mapped(self, stream: str) -> NDArray[Any]:
        rows, dim = self.ends[stream], self._streams[stream].dim
        if rows == 0:
            return np.empty((0, dim), self._dtype)
        if stream not in self._maps or len(self._maps[stream]) < rows:
            self._maps[stream] = np.asarray(
                np.memmap(self._file(stream), self._dtype, "r", shape=(rows, dim))
            )
        return self._maps[stream]


def cast_rows(
    video: NewVideo, name: str, streams: Mapping[str, Stream], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return a video's rows of one stream as they are stored, (n, dim); InvalidInput where they cannot be."""
    stream = streams.get(name)
    if stream is None:
        raise InvalidInput(f"video {video.id!r}: the store has no stream {name!r}, only {sorted(streams)}")
    rows = np.asarray(video.arrays.get(name, np.empty((0, stream.dim))))
    if rows.ndim != 2 or rows.shape[1] != stream.dim:
        raise InvalidInput(f"video {video.id!r}: {name} must be (n, {stream.dim}), got {rows.shape}")
    with np.errstate(over="ignore"):
        cast = np.ascontiguousarray(rows, dtype)
    if not np.isfinite(cast).all():
        raise InvalidInput(
            f"video {video.id!r}: {name} has values that {dtype.name} cannot hold (NaN or "
            "too large); check the encoder, or use a float32 store"
        )
    return cast


def _place(record: VideoRecord) -> str:
    """Return where a video's file lies, as far as the record tells."""
    parts = urlsplit(record.uri)
    return printable(unquote(parts.path) if parts.scheme == "file" else record.uri) or record.id
