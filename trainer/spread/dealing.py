"""Deals files to workers in chunks, as they ask; what a dead one had is dealt again."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from trainer.ingest.scan import VideoFile

# Of a file whose worker died so often: dealt with no other beside it; not dealt any more.
ALONE, MOST = 2, 4


@dataclass(frozen=True, slots=True)
class Given:
    """A file to ingest as video `id`. part: of the store that it belongs to, None for any.

    deaths: of workers that had it.
    """

    id: str
    path: str
    relative: str
    part: int | None = None
    deaths: int = 0

    @property
    def file(self) -> VideoFile:
        """The file as ingest knows it."""
        return VideoFile(Path(self.path), self.relative)


class Dealer:
    """Files to deal to so many shares of the store. total: how many files there are."""

    def __init__(self, files: Iterable[Given], total: int, shares: int) -> None:
        self._files: Iterator[Given] = iter(files)
        self._left = total
        self._shares = shares
        self._own: list[deque[Given]] = [deque() for _ in range(shares)]
        self._again: deque[Given] = deque()
        self._out: list[dict[str, Given]] = [{} for _ in range(shares)]
        self._ended = False
        self.dealt = 0

    @property
    def finished(self) -> bool:
        """Whether every file was dealt, and had its turn."""
        return self._ended and not self._again and not any(self._own) and not any(self._out)

    @property
    def share_of_all(self) -> float:
        """How many files there are for each one that was dealt."""
        return 1.0 + self._left / max(1, self.dealt)

    def waits(self, share: int) -> bool:
        """Whether there is what only the writer of a share can do."""
        return bool(self._own[share])

    def idle(self, share: int) -> bool:
        """Whether the writer of a share has nothing to do."""
        return not self._own[share] and not self._out[share]

    def take(self, share: int, wanted: int) -> list[Given]:
        """Return up to `wanted` files for a share's writer; fewer towards the end: all end together."""
        out, chunk = self._out[share], list[Given]()
        if any(file.deaths >= ALONE for file in out.values()):
            return []
        shared = -(-(self._left + len(self._again)) // (2 * self._shares))
        wanted = min(wanted, len(self._own[share]) or max(1, shared))
        for file in islice(self._next(share), wanted):
            alone = file.deaths >= ALONE
            if alone and (chunk or out):
                self._queue(file)
                break
            chunk.append(file)
            if alone:
                break
        out.update((file.path, file) for file in chunk)
        return chunk

    def done(self, share: int, paths: Iterable[str]) -> None:
        """Take note that files had their turn."""
        for path in paths:
            self._out[share].pop(path, None)

    def lost(self, share: int) -> list[Given]:
        """Deal again what a dead worker had; return what is not dealt any more."""
        files = [replace(file, deaths=file.deaths + 1) for file in self._out[share].values()]
        self._out[share].clear()
        for file in files:
            if file.deaths < MOST:
                self._queue(file)
        return [file for file in files if file.deaths >= MOST]

    def _queue(self, file: Given) -> None:
        (self._again if file.part is None else self._own[file.part % self._shares]).append(file)

    def _next(self, share: int) -> Iterator[Given]:
        while self._own[share]:
            yield self._own[share].popleft()
        for _ in range(len(self._again)):
            yield self._again.popleft()
        for file in self._files:
            self._left -= 1
            self.dealt += 1
            if file.part is None or file.part % self._shares == share:
                yield file
            else:
                self._queue(file)
        self._ended, self._left = True, 0
