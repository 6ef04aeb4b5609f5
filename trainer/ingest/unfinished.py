"""Checkpoints inside a video: an interrupted ingest does not encode finished batches again."""

import contextlib
import os
import struct
import threading
import time
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]

DIRECTORY = "unfinished"
_HEAD = struct.Struct("<III")
_LONGEST = 30 * 24 * 3600


class Unfinished:
    """The batches of one video that were encoded, in a file that is named by all that decides their rows.

    Losing it costs time only: it is never waited for, and what is damaged in it does not count.
    """

    def __init__(self, path: Path, dim: int) -> None:
        """path: the file. dim: width of a row."""
        self._path, self._dim = path, dim
        self._lock = threading.Lock()
        self._batches: dict[int, Rows] = {}
        self._end = 0
        self._read()

    def take(self, batch: int, rows: int) -> Rows | None:
        """Return and forget the rows (rows, dim) of a batch, None where they are not there."""
        found = self._batches.pop(batch, None)
        return found if found is not None and len(found) == rows else None

    def put(self, batch: int, rows: Rows) -> None:
        """Keep the rows of a batch; where the disk does not let it, they are not kept."""
        data = np.ascontiguousarray(rows, np.float32).tobytes()
        with self._lock, contextlib.suppress(OSError):
            self._path.parent.mkdir(exist_ok=True)
            with self._path.open("r+b" if self._path.exists() else "w+b") as file:
                file.seek(self._end)
                file.write(_HEAD.pack(batch, len(rows), zlib.crc32(data)) + data)
                file.truncate()
                self._end = file.tell()

    def remove(self) -> None:
        """Forget all of it: the video is stored, or failed."""
        with contextlib.suppress(OSError):
            self._path.unlink()

    def _read(self) -> None:
        with contextlib.suppress(OSError), self._path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                batch, rows, crc = _HEAD.unpack(head)
                length = rows * self._dim * 4
                # Reading makes room first: a damaged number may ask for more than there is memory.
                if length > size:
                    break
                data = file.read(length)
                if len(data) != length or zlib.crc32(data) != crc:
                    break
                self._batches[batch] = np.frombuffer(data, np.float32).reshape(rows, self._dim)
                self._end = file.tell()


def sweep(store: Path) -> None:
    """Remove what a month has not been asked for, and the directory once it is empty."""
    with contextlib.suppress(OSError):
        for path in (store / DIRECTORY).iterdir():
            if time.time() - path.stat().st_mtime > _LONGEST:
                path.unlink()
        (store / DIRECTORY).rmdir()
