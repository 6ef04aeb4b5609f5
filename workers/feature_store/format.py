"""The feature store's files: header, records, checksums, the writer's lock, all-or-nothing writes."""

import contextlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from engine import files
from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable
from engine.printable import printable

FORMAT = 2
LONGEST_ID = 1000
DTYPES: dict[str, np.dtype[Any]] = {"float16": np.dtype("<f2"), "float32": np.dtype("<f4")}


@dataclass(frozen=True, slots=True)
class Stream:
    """One kind of rows. dim: numbers a row. step: seconds between two rows."""

    dim: int
    step: float


# The entry of a record's info with the ids that the video had before it was renamed.
FORMERLY = "formerly"


@dataclass(frozen=True, slots=True)
class VideoRecord:
    """What the journal says of a video.

    streams: name -> (first row, number of rows) in `<name>.bin`; every stream of the store has an entry.
    duration: seconds. sha256: of the source file, hex. info: JSON values, the writer's own notes.
    checksums: stream -> CRC-32 of the rows as stored; none in a store of format 1.
    """

    id: str
    uri: str
    sha256: str
    duration: float
    streams: dict[str, tuple[int, int]]
    info: dict[str, Any] = field(default_factory=dict)
    checksums: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Header:
    """What store.json says. format: of the files, 1 or 2. meta: the writer's own notes."""

    streams: dict[str, Stream]
    dtype: np.dtype[Any]
    meta: dict[str, Any]
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class NewVideo:
    """A video to append: arrays of its streams (n, dim), and what VideoRecord says of the rest."""

    id: str
    arrays: Mapping[str, NDArray[Any]]
    uri: str = ""
    sha256: str = ""
    duration: float = 0.0
    info: Mapping[str, Any] = field(default_factory=dict)


def write_at(file: BinaryIO, offset: int, data: bytes) -> None:
    """Write and sync at `offset`, where the file's good part ends; a failed write leaves no trace."""
    try:
        with files.disk_errors(Path(file.name)):
            file.seek(offset)
            view = memoryview(data)
            while view:
                view = view[file.write(view) :]
            os.fsync(file.fileno())
    except BaseException:
        os.ftruncate(file.fileno(), offset)
        raise


def settle(path: Path) -> None:
    """Sync what is there: a writer that was killed may have left what readers see and no disk has."""
    for file in path.iterdir():
        if file.suffix in (".bin", ".jsonl"):
            files.sync(file)
    files.sync(path)


def checksum(rows: NDArray[Any]) -> str:
    """Return the CRC-32 of rows as they are stored, 8 hex digits."""
    return f"{zlib.crc32(np.ascontiguousarray(rows).data):08x}"


def check_id(video: str) -> None:
    """Raise InvalidInput for an id that is no name, or that could lead elsewhere as part of a path."""
    reason = None
    if not video:
        reason = "it is empty"
    elif len(video.encode(errors="replace")) > LONGEST_ID:
        reason = f"it has more than {LONGEST_ID} bytes"
    elif printable(video) != video:
        reason = "it has control characters"
    elif video.startswith("/") or ".." in video.split("/"):
        reason = "it reads as a path to somewhere else"
    if reason:
        raise InvalidInput(f"{printable(video[:100])!r} cannot be a video's id: {reason}; give it another")


_KINDS = {"uri": str, "sha256": str, "duration": int | float, "info": dict}


def parse(entry: Mapping[str, Any], streams: Mapping[str, Stream]) -> VideoRecord:
    """Return what an entry of the journal says of a video.

    Raises ValueError, KeyError or TypeError where it is none, InvalidInput for an id that cannot be one.
    """
    video = entry["id"]
    check_id(video)
    wrong = [name for name, kind in _KINDS.items() if not isinstance(entry[name], kind)]
    if wrong:
        raise TypeError(f"{wrong[0]} of video {video!r} is of another type")
    spans = {name: (int(entry["streams"][name][0]), int(entry["streams"][name][1])) for name in streams}
    checksums = dict(entry.get("checksums", {}))
    return VideoRecord(
        video, entry["uri"], entry["sha256"], entry["duration"], spans, entry["info"], checksums
    )


def described(streams: Mapping[str, Stream], dtype: str) -> str:
    """Return the kinds of rows in words."""
    rows = (f"{name} of {s.dim} numbers every {s.step} s" for name, s in sorted(streams.items()))
    return f"{' and '.join(rows)}, as {dtype}"


@contextlib.contextmanager
def told(path: Path, verb: Literal["read", "written"]) -> Iterator[None]:
    """Turn what the disk refuses into a sentence: Mismatch for reading, Unavailable for writing."""
    try:
        yield
    except OSError as error:
        message = f"{error.filename or path} cannot be {verb} ({error.strerror}); "
        if verb == "read":
            raise Mismatch(message + "mend that, or restore it from a backup") from error
        if files.is_full(error):
            raise files.refusal(error, error.filename or path) from error
        raise Unavailable(message + "make it writable, or choose another place, and try again") from error


def read_header(path: Path) -> Header:
    """Read store.json; NotFound where there is none, Mismatch for one that cannot be used."""
    file = path / "store.json"
    try:
        header = files.read_json(file, dict)
        if header["format"] not in (1, FORMAT):
            raise Mismatch(
                f"{file} has format {header['format']!r}, this program reads up to {FORMAT}; "
                "ingest again, or use the program that wrote it"
            )
        # Stores that were made before have none.
        crc = header.pop("crc", None)
        if crc not in (None, _crc(header)):
            raise ValueError
        streams = {name: Stream(int(s["dim"]), float(s["step"])) for name, s in header["streams"].items()}
        try:
            check_header(path, streams, header["dtype"])
        except InvalidInput as error:
            raise ValueError(str(error)) from None
        return Header(streams, DTYPES[header["dtype"]], dict(header["meta"]), header["format"])
    except (FileNotFoundError, NotADirectoryError):
        raise NotFound(
            f"there is no feature store in {path} (no store.json); make one with `spr ingest`"
        ) from None
    except files.BadJson as error:
        raise Mismatch(
            f"{file} is damaged ({error.why}); restore it from a backup, or move {path} away and ingest again"
        ) from None
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError):
        raise Mismatch(
            f"{file} is damaged; restore it from a backup, or move {path} away and ingest again"
        ) from None


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
    files.sync(path)
    described = {name: asdict(stream) for name, stream in streams.items()}
    header = {"format": FORMAT, "dtype": dtype, "streams": described, "meta": dict(meta)}
    files.write_json(path / "store.json", header | {"crc": _crc(header)})


def _crc(header: Mapping[str, Any]) -> str:
    return f"{zlib.crc32(json.dumps(header, sort_keys=True).encode()):08x}"
