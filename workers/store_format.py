"""The feature store's files: header, journal lines, the writer's lock, all-or-nothing writes."""

import fcntl
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from engine import files
from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable

FORMAT = 1
DTYPES: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of rows. dim: numbers a row. step: seconds between two rows."""

    dim: int
    step: float


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """What the journal says of a video.

    streams: name -> (first row, number of rows) in `<name>.bin`; every stream of the store has an entry.
    duration: seconds. sha256: of the source file, hex. info: JSON values, the writer's own notes.
    """

    id: str
    uri: str
    sha256: str
    duration: float
    streams: dict[str, tuple[int, int]]
    info: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewVideo:
    """A video to append: arrays of its streams (n, dim), and what VideoRecord says of the rest."""

    id: str
    arrays: Mapping[str, NDArray[Any]]
    uri: str = ""
    sha256: str = ""
    duration: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)


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


def write_at(file: BinaryIO, offset: int, data: bytes) -> None:
    """Write and sync at `offset`, where the file's good part ends; a failed write leaves no trace."""
    try:
        file.seek(offset)
        view = memoryview(data)
        while view:
            view = view[file.write(view) :]
        os.fsync(file.fileno())
    except BaseException:
        os.ftruncate(file.fileno(), offset)
        raise


def lock(path: Path) -> BinaryIO:
    """Open the journal as its only writer."""
    journal = os.fdopen(os.open(path / "journal.jsonl", os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        journal.close()
        raise Unavailable(
            f"another process is writing the feature store {path}; wait for it to end, or stop it",
            "STORE_LOCKED",
        ) from None
    return journal


def parse(line: bytes, streams: Mapping[str, Stream]) -> VideoRecord:
    """Read one journal line; ValueError, KeyError or TypeError where it is not one."""
    entry = json.loads(line)
    spans = {name: (int(entry["streams"][name][0]), int(entry["streams"][name][1])) for name in streams}
    return VideoRecord(entry["id"], entry["uri"], entry["sha256"], entry["duration"], spans, entry["info"])


def journal_line(record: VideoRecord) -> bytes:
    """Return what `parse` reads; ValueError where `info` or the duration is no JSON."""
    return (json.dumps(asdict(record), ensure_ascii=False, allow_nan=False) + "\n").encode()


def check_sizes(
    path: Path, streams: Mapping[str, Stream], dtype: np.dtype[Any], ends: Mapping[str, int]
) -> None:
    """Raise Mismatch where a .bin file has fewer rows than the journal names."""
    for name, stream in streams.items():
        file = path / f"{name}.bin"
        needed = ends[name] * stream.dim * dtype.itemsize
        found = file.stat().st_size if file.exists() else 0
        if found < needed:
            raise Mismatch(
                f"{file} has {found} bytes but the journal names {needed}; "
                f"restore it from a copy, or remove {path} and ingest again"
            )


def read_header(path: Path) -> tuple[dict[str, Stream], np.dtype[Any], dict[str, Any]]:
    """Return streams, dtype and meta; NotFound without a store.json, Mismatch for one that cannot be used."""
    try:
        header = files.read_json(path / "store.json")
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"there is no feature store in {path} (no store.json); make one with `spr ingest`"
        ) from None
    except ValueError as error:
        raise Mismatch(f"{path / 'store.json'} is not JSON ({error}); restore it from a copy") from error
    if header.get("format") != FORMAT:
        raise Mismatch(
            f"{path / 'store.json'} has format {header.get('format')!r}, this program reads {FORMAT}; "
            "ingest again, or use the program that wrote it"
        )
    streams = {name: Stream(int(s["dim"]), float(s["step"])) for name, s in header["streams"].items()}
    return streams, DTYPES[header["dtype"]], header["meta"]


def check_header(path: Path, streams: Mapping[str, Stream], dtype: str) -> None:
    """Raise InvalidInput for a dtype or a stream that the format cannot hold."""
    if dtype not in DTYPES:
        raise InvalidInput(f"a feature store holds {' or '.join(DTYPES)}, not {dtype!r}")
    for name, stream in streams.items():
        if not re.fullmatch(r"[a-z][a-z0-9_-]*", name) or stream.dim < 1 or not stream.step > 0:
            raise InvalidInput(
                f"{path}: stream {name!r} with dim {stream.dim} and step {stream.step} cannot be stored; "
                "use a lower-case name, dim >= 1 and step > 0"
            )


def write_header(path: Path, streams: Mapping[str, Stream], dtype: str, meta: Mapping[str, Any]) -> None:
    """Make the .bin files, then store.json: a directory with a store.json is a whole store."""
    for name in streams:
        (path / f"{name}.bin").touch()
    described = {name: asdict(stream) for name, stream in streams.items()}
    header = {"format": FORMAT, "dtype": dtype, "streams": described, "meta": dict(meta)}
    files.write_json(path / "store.json", header)
