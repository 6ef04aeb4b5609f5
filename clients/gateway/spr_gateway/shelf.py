"""The video files of the served collections, as their current versions name them."""

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine import versions
from engine.corpus import Corpus, Known, open_corpus
from engine.errors import NotFound, quoted
from engine.part_texts import PartTexts
from engine.printable import same_name
from engine.texts import SEEN, TEXTS
from trainer.ingest.naming import local_path
from trainer.ingest.texts import Texts

FRESH = 1.0  # seconds after which CURRENT is looked at again


@dataclass(frozen=True, slots=True)
class Video:
    """A video of a collection at a version.

    duration: seconds. path: its file, resolved. home: the collection's folder.
    """

    collection: str
    id: str
    path: Path
    duration: float
    home: Path
    version: str

    @property
    def stamp(self) -> tuple[str, str, int, int]:
        """What pictures of it are kept under: they go when the file changes."""
        status = self.path.stat()
        return self.collection, self.id, status.st_mtime_ns, status.st_size


class Shelf:
    """Finds a video's file. A request names an id; the path comes from the collection alone.

    roots: folders, the only ones whose files are given out; none: wherever the collections' files lie. Safe
    to use from several threads.
    """

    def __init__(self, directories: Sequence[Path], roots: Sequence[Path] = ()) -> None:
        self._collections = [_Current(directory) for directory in directories]
        self._roots = [root.resolve() for root in roots]

    def find(self, collection: str, video: str) -> Video:
        """Return a video of a collection, "" for the first; NotFound where none may be given out."""
        corpus = self._corpus(collection)
        ordinal = corpus.catalogue.ordinal(video)
        path = local_path(corpus.catalogue.uris[ordinal])
        if path is None:
            raise NotFound(f"video {quoted(video)} was ingested without its file", "NO_FILE")
        path = path.resolve()
        if self._roots and not any(path.is_relative_to(root) for root in self._roots):
            message = f"the file of video {quoted(video)} lies in no folder of [page] roots; add its folder"
            raise NotFound(message, "NOT_ALLOWED")
        if not path.is_file():
            message = f"the file of video {quoted(video)} was moved or deleted; move it back, or add it again"
            raise NotFound(message, "FILE_GONE")
        duration = float(corpus.catalogue.durations[ordinal])
        return Video(corpus.name, video, path, duration, corpus.directory, corpus.id)

    def texts(self, video: Video) -> Texts:
        """Return what is said and written in a video, as it is searched; none where its part has no texts."""
        corpus = self._corpus(video.collection)
        ordinal = corpus.catalogue.ordinal(video.id)
        for part in corpus.parts:
            if len(number := np.flatnonzero(part.ordinals == ordinal)):
                return _texts(part.directory, int(number[0]))
        return Texts()

    def collections(self) -> list[dict[str, object]]:
        """Return the names of the collections that have a version, and how much each holds."""
        there = [corpus for one in self._collections if (corpus := one.corpus()) is not None]
        about = ((corpus, corpus.version) for corpus in there)
        return [
            {"name": corpus.name, "videos": of.videos, "segments": of.segments, "version": of.id}
            for corpus, of in about
        ]

    def channels(self, collection: str) -> list[str]:
        """Return where one can look in a collection: its pictures, and the texts that its parts have."""
        try:
            corpus = self._corpus(collection)
        except NotFound:
            return [SEEN]
        if corpus.version.texts is None:
            return [SEEN]
        return [SEEN, *(one for one in TEXTS if any(part.about.files_of(one) for part in corpus.parts))]

    def holds(self, collection: str, video: str) -> bool:
        """Whether a collection's current version has a video."""
        try:
            return self._corpus(collection).catalogue.find(video) is not None
        except NotFound:
            return False

    def _corpus(self, name: str) -> Corpus:
        for collection in self._collections:
            corpus = collection.corpus()
            if corpus is not None and (name == "" or same_name(name, corpus.name)):
                return corpus
        raise NotFound(f"collection {quoted(name)} is not served here", "COLLECTION_NOT_FOUND")


def _texts(part: Path, number: int) -> Texts:
    found = PartTexts.open(part)
    if found is None:
        return Texts()
    with contextlib.closing(found):
        said, written = (tuple(found.all(number, channel)) for channel in TEXTS)
        return Texts(said, written)


class _Current:
    """The version of a collection that CURRENT names."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        self._known: Known = {}
        self._corpus: Corpus | None = None
        self._looked = 0.0

    def corpus(self) -> Corpus | None:
        """Return it, None where there is none yet."""
        with self._lock:
            if time.monotonic() - self._looked >= FRESH:
                self._look()
                self._looked = time.monotonic()
            return self._corpus

    def _look(self) -> None:
        try:
            current = versions.current(self._directory)
            if self._corpus is None or current != self._corpus.id:
                self._corpus = open_corpus(self._directory, current, self._known)
        except NotFound:
            self._corpus = None
