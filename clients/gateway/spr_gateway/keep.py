"""What is made of videos on demand (pictures, clips, probes), kept within a limit of bytes."""

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, Protocol, TypeVar

from cachetools import LRUCache

from engine.errors import Overloaded

NICE = 10  # below searches, which a person waits for first
Owner = tuple[str, str]  # collection and video


class Sized(Protocol):
    """A thing that tells how many bytes it takes."""

    @property
    def size(self) -> int:
        """Bytes."""


Thing = TypeVar("Thing", bound=Sized)
Key = tuple[Owner, Hashable]


class Keep(Generic[Thing]):
    """An LRU cache of bytes in front of a thread pool; what several ask for at once is made once.

    In memory: what is of a deleted video goes with it, and nothing is left on a disk. waiting: things that
    may be asked for and not be made; more are refused.
    """

    def __init__(self, most_bytes: int, threads: int, waiting: int = 64) -> None:
        self._kept: LRUCache[Key, Thing] = LRUCache(max(1, most_bytes), getsizeof=lambda thing: thing.size)
        self._coming: dict[Key, asyncio.Future[Thing]] = {}
        self._pool = ThreadPoolExecutor(threads, "media", _yield_to_searches)
        self._waiting = waiting

    async def get(self, owner: Owner, name: Hashable, make: Callable[[], Thing]) -> Thing:
        """Return a thing of a video, made by `make` in a thread unless it is kept."""
        key = owner, name
        if (kept := self._kept.get(key)) is not None:
            return kept
        coming = self._coming.get(key)
        if coming is None:
            if len(self._coming) >= self._waiting:
                raise Overloaded(
                    "too many pictures and clips are asked for at once; try again", retry_after=1.0
                )
            coming = asyncio.get_running_loop().run_in_executor(self._pool, make)
            self._coming[key] = coming
            coming.add_done_callback(lambda done: self._made(key, done))
        # One caller who leaves takes nothing from the others.
        return await asyncio.shield(coming)

    def forget(self, keep: Callable[[Owner], bool]) -> None:
        """Drop what is of videos that `keep` is false of."""
        owners = {owner for owner, _ in self._kept}
        gone = {owner for owner in owners if not keep(owner)}
        for key in [key for key in self._kept if key[0] in gone]:
            del self._kept[key]

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _made(self, key: Key, done: "asyncio.Future[Thing]") -> None:
        del self._coming[key]
        if done.cancelled() or done.exception() is not None:
            return
        thing = done.result()
        if thing.size <= self._kept.maxsize:
            self._kept[key] = thing


def _yield_to_searches() -> None:
    # Linux has a priority a thread; elsewhere it would be the whole process's.
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
