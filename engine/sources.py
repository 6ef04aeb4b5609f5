"""Collections as processes open them: a directory, or a local copy of what is read of one behind a URL.

source = Here(directory)                          # or engine.mirror.Mirror(place, home, most, wants)
with source.fetched(version) as name: ...         # its files are in source.home, held against removal
"""

import contextlib
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from engine import version_lock, versions
from engine.entries import Version


class Source(Protocol):
    """A collection as a process opens it. home: the directory where its files are, or come to."""

    home: Path

    def fetched(self, version: str) -> AbstractContextManager[str]:
        """Hold a version with all its files, by id or number, "" for the newest to be had; give its id."""
        ...

    def named(self, version: str) -> str:
        """Return the id of a version named by id or number, of the current one for ""."""
        ...

    def repair(self, version: str) -> bool:
        """Copy files of a version again that lack or have wrong bytes; whether there were any to be had."""
        ...

    def activate(self, version: str) -> None:
        """Make a version the current one, for all who serve the collection."""
        ...

    def watch(self) -> None:
        """Keep CURRENT and the list of versions, until closed, what they are where the files come from."""
        ...

    def close(self) -> None:
        """Watch no more; may be called again, and without a watch."""
        ...


class Here:
    """A collection in a directory of this machine."""

    def __init__(self, home: Path) -> None:
        self.home = home

    @contextlib.contextmanager
    def fetched(self, version: str) -> Iterator[str]:
        """See `Source`."""
        name = versions.resolve(self.home, version)
        with version_lock.held(self.home, name):
            yield name

    def named(self, version: str) -> str:
        """See `Source`."""
        return versions.resolve(self.home, version)

    def repair(self, version: str) -> bool:
        """See `Source`."""
        return False

    def activate(self, version: str) -> None:
        """See `Source`."""
        versions.activate(self.home, version)

    def watch(self) -> None:
        """See `Source`."""

    def close(self) -> None:
        """See `Source`."""


def _nothing(_: Version) -> Iterable[str]:
    return ()


@dataclass(frozen=True, slots=True)
class Wants:
    """What a process reads of a version beside catalogues.

    files: beginnings of the names of a part's files. shards: of these alone, None for all; everywhere: of
    others too. beside: folders and files outside of the parts.
    """

    files: tuple[str, ...] = ()
    shards: Collection[str] | None = None
    beside: Callable[[Version], Iterable[str]] = _nothing
    everywhere: tuple[str, ...] = ()
