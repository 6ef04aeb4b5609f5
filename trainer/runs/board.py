"""A view of a run's metrics in TensorBoard's format.

Its own writer has a thread, which tells of a full disk by a traceback, and no file.
"""

import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event  # type: ignore[import-untyped]
from tensorboard.compat.proto.summary_pb2 import Summary  # type: ignore[import-untyped]
from tensorboard.summary.writer import record_writer  # type: ignore[import-untyped]

from engine.files import disk_errors, make_folder


class Board:
    """An event file of a directory. Raises a full disk as an OSError that names it."""

    def __init__(self, directory: Path) -> None:
        make_folder(directory)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.0"
        self._path = directory / name
        self._file = self._path.open("wb")
        self._records = record_writer.RecordWriter(self._file)
        self._write(Event(wall_time=time.time(), file_version="brain.Event:2"))

    def show(self, name: str, value: float, step: int, when: float) -> None:
        """Add one value. when: seconds since 1970."""
        values = [Summary.Value(tag=name, simple_value=value)]
        self._write(Event(wall_time=when, step=step, summary=Summary(value=values)))

    def flush(self) -> None:
        """Let it be seen."""
        with disk_errors(self._path):
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        with disk_errors(self._path):
            self._file.close()

    def _write(self, event: Event) -> None:
        with disk_errors(self._path):
            self._records.write(event.SerializeToString())
