"""What every step of the writer has in common: where videos lie, and the version that a step makes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine import versions
from engine.corpus import Corpus
from engine.errors import Unavailable
from engine.types import Ordinals
from trainer.library.changes import Place, Shards

OnProgress = Callable[[str, int, int], None]


def nothing(stage: str, done: int, total: int) -> None:
    """Report no progress."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a step did. version: the current one now. videos: ids that were added, replaced or deleted.

    unchanged: ids that were there already as they are. parts: that were merged. notes: sentences.
    """

    version: str
    videos: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    parts: int = 0
    notes: tuple[str, ...] = ()


def make_current(corpus: Corpus, shards: Shards, reason: str) -> str:
    """Commit the version that follows with other shards, activate it, and return its id.

    Unavailable (VERSION_CHANGED) where another was activated meanwhile: a rollback is not to be undone.
    """
    if versions.newest(corpus.directory) != corpus.id:
        message = f"another version of {corpus.directory} was activated meanwhile: run the command again."
        raise Unavailable(message, "VERSION_CHANGED")
    made = versions.commit(corpus.directory, versions.with_shards(corpus.version, shards, reason))
    versions.activate(corpus.directory, made.id)
    return made.id


class Whereabouts:
    """Where the videos of a version lie."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        self._parts = np.zeros(len(corpus.catalogue), np.int32)
        self._numbers: Ordinals = np.zeros(len(corpus.catalogue), np.int32)
        for index, part in enumerate(corpus.parts):
            self._parts[part.ordinals[part.living]] = index
            self._numbers[part.ordinals[part.living]] = part.living

    def directory(self, video: str) -> tuple[Path, int]:
        """Return the directory of the part that holds a video, and its number in there."""
        ordinal = self._corpus.catalogue.ordinal(video)
        return self._corpus.parts[int(self._parts[ordinal])].directory, int(self._numbers[ordinal])

    def places(self, videos: Iterable[str]) -> list[Place]:
        """Return the places of some videos, to delete them; NotFound for one that is not there."""
        catalogue = self._corpus.catalogue
        found = [catalogue.ordinal(video) for video in videos]
        return [
            Place(
                self._corpus.parts[int(self._parts[ordinal])].about.id,
                int(self._numbers[ordinal]),
                int(catalogue.segments[ordinal]),
            )
            for ordinal in found
        ]
