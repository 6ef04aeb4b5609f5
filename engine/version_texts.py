"""What is said and written in the living videos of a version, read from its parts as it is needed."""

import logging
import sqlite3
import threading

import numpy as np
from cachetools import LRUCache

from engine import logs
from engine.corpus import Corpus
from engine.errors import SprError
from engine.part_texts import PartTexts
from engine.texts import Line

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
    """The lines of a version's videos, by ordinal. Safe to use from several threads."""

    def __init__(self, corpus: Corpus) -> None:
        self._directories = [part.directory for part in corpus.parts]
        n = len(corpus.catalogue) if corpus.version.texts is not None else 0
        self._parts, self._numbers = np.zeros(n, np.int32), np.zeros(n, np.int32)
        for place, part in enumerate(corpus.parts if n else ()):
            self._parts[part.ordinals[part.living]] = place
            self._numbers[part.ordinals[part.living]] = part.living
        self._open, self._lock = _Open(OPEN), threading.Lock()
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
            self._open[place] = PartTexts.open(self._directories[place])
        return self._open[place]
