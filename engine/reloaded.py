"""A value that is read from files, and read again when they change."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from engine.errors import SprError

_log = logging.getLogger("spr.reloaded")
Value = TypeVar("Value")
INTERVAL = 1.0  # seconds between looks at the files

Signature = tuple[tuple[int, int, int], ...]


class Reloaded(Generic[Value]):
    """The value that `read` makes of files; safe to use from several threads.

    Files that `read` refuses (SprError, OSError) leave the value of before, and a sentence in the log if they
    stay so for an INTERVAL: of two files one is replaced first. The first reading raises.
    """

    def __init__(self, paths: Sequence[Path], read: Callable[[], Value]) -> None:
        self._paths, self._read = paths, read
        self._looking = threading.Lock()
        # Before the files are read: what changes meanwhile is read again.
        self._seen = self._signature()
        self._refused: tuple[Signature, int] = ((), 0)
        self._value = read()
        self._again = time.monotonic() + INTERVAL

    @property
    def value(self) -> Value:
        """The value of the files as they were at most an INTERVAL ago."""
        if time.monotonic() >= self._again and self._looking.acquire(blocking=False):
            try:
                self._look()
            finally:
                self._looking.release()
        return self._value

    def fresh(self) -> Value:
        """Return the value of the files as they are now."""
        with self._looking:
            self._look()
        return self._value

    def _look(self) -> None:
        self._again = time.monotonic() + INTERVAL
        found = self._signature()
        if found == self._seen:
            return
        try:
            self._value = self._read()
        except (SprError, OSError) as error:
            before, times = self._refused
            times = times + 1 if before == found else 1
            self._refused = (found, times)
            if times == 2:
                _log.warning("%s; what it was before is used on", str(error).rstrip("."))
            return
        self._seen = found
        _log.info("%s changed and is in use", ", ".join(map(str, self._paths)))

    def _signature(self) -> Signature:
        found = []
        for path in self._paths:
            try:
                state = path.stat()
            except OSError:
                found.append((0, 0, 0))
            else:
                found.append((state.st_mtime_ns, state.st_size, state.st_ino))
        return tuple(found)
