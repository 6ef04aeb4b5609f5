"""What is said and written in the living videos of a version, read from its parts as it is needed."""

import logging
import sqlite3
import threading
from pathlib import Path

import numpy as np
from cachetools import LRUCache

from engine import logs
from engine.corpus import Corpus
from engine.entries import Part
from engine.errors import SprError
from engine.part_texts import FILE, PartTexts
from engine.texts import Line
from engine.verification import verify

_log = logging.getLogger("spr.texts")
OPEN = 64  # files a version


class _Open(LRUCache[int, "PartTexts | None"]):
    """Open files by their part's place; what is pushed out is closed."""

    def popitem(self) -> tuple[int, "PartTexts | None"]:
        place, texts = super().popitem()
        if texts is not None:
            texts.close()
        return place, texts


class VersionTexts:
    """The lines of a version's videos, by ordinal. Safe to use from several threads.

    A part's file is verified before its first line: what is not as it was sealed is not told.
    """

    def __init__(self, corpus: Corpus) -> None:
        self._files = [(part.directory, part.about) for part in corpus.parts]
        n = len(corpus.catalogue) if corpus.version.texts is not None else 0
        self._parts, self._numbers = np.zeros(n, np.int32), np.zeros(n, np.int32)
        for place, part in enumerate(corpus.parts if n else ()):
            self._parts[part.ordinals[part.living]] = place
            self._numbers[part.ordinals[part.living]] = part.living
        self._open, self._lock = _Open(OPEN), threading.Lock()
        # Of parts by their place: verified; and what identifies the files that are not what they should be.
        self._sound, self._bad = set[int](), dict[int, object]()
        self._fault = logs.Fault(_log, f"texts of version {corpus.id}")

    def lines(self, video: int, channel: str, start: float, end: float) -> list[Line]:
        """Return the lines of a channel that are there in [start, end) seconds; none that cannot be read."""
        with self._lock:
            try:
                texts = self._texts(int(self._parts[video]))
                return [] if texts is None else texts.lines(int(self._numbers[video]), channel, start, end)
            except (OSError, SprError, sqlite3.Error) as error:
                # The moment is right without it.
                self._fault.happened(str(error), "TEXTS_UNREADABLE")
                return []

    def _texts(self, place: int) -> PartTexts | None:
        if place not in self._open:
            directory, about = self._files[place]
            if FILE not in about.files:
                self._open[place] = None
            elif place in self._sound or self._verified(place, directory, about):
                self._open[place] = PartTexts.open(directory)
            else:
                return None
        return self._open[place]

    def _verified(self, place: int, directory: Path, about: Part) -> bool:
        """Verify a part's file: Mismatch where it is damaged, and False until it is another one."""
        found = _identity(directory / FILE)
        if self._bad.get(place) == found:
            return False
        self._bad[place] = found
        verify(directory, about, [FILE])
        self._sound.add(place)
        del self._bad[place]
        return True


def _identity(path: Path) -> tuple[int, ...]:
    try:
        status = path.stat()
    except OSError:
        return ()
    return status.st_ino, status.st_size, status.st_mtime_ns
