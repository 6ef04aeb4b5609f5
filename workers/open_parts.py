"""Parts that are open in this process: versions that list the same part share it."""

import weakref
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from engine.corpus import PartOfVersion
from workers.watch import Watch


class Watched(Protocol):
    """An open part: whatever a worker reads of it, and what watches its files."""

    @property
    def watch(self) -> Watch:
        """What watches the part's files."""


P = TypeVar("P", bound=Watched)


class OpenParts(Generic[P]):
    """Open parts by directory, weakly held: a part closes with the last version, or call, that has it.

    A part with a fault is not given out again. For one thread at a time, as `Held` opens versions.
    """

    def __init__(self) -> None:
        self._open: weakref.WeakValueDictionary[Path, P] = weakref.WeakValueDictionary()

    def missing(self, parts: Iterable[PartOfVersion]) -> list[PartOfVersion]:
        """Return those that are not open, or not sound: they take memory when they are opened."""
        return [part for part in parts if self._sound(part) is None]

    def take(self, part: PartOfVersion, open_part: Callable[[PartOfVersion], P]) -> P:
        """Return a part that is open, or open it."""
        found = self._sound(part)
        if found is None:
            found = self._open[part.directory] = open_part(part)
        return found

    def _sound(self, part: PartOfVersion) -> P | None:
        found = self._open.get(part.directory)
        return None if found is None or found.watch.fault else found
