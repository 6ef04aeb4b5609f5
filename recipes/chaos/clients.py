"""Clients that search all the time, and what each was told."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from recipes.chaos.oracle import Found, Oracle, same
from spr_client import Client, SearchError, SearchResult

PAGE = 20


@dataclass(frozen=True, slots=True)
class Told:
    """An answer or an error. began: seconds since the epoch. lost: shards that the answer says it lacks.

    partial: the answer says that it is not whole. error: empty for an answer.
    """

    began: float
    seconds: float
    text: str
    version: str = ""
    lost: tuple[str, ...] = ()
    partial: tuple[str, ...] = ()
    found: Found = ()
    error: str = ""


@dataclass
class Load:
    """What clients are told. count: how often."""

    told: list[Told] = field(default_factory=list)
    count: int = 0
    _known: dict[Found, Found] = field(default_factory=dict)

    def add(self, told: Told) -> None:
        """Record what one was told."""
        self.told.append(told)
        self.count += 1

    def once(self, found: Found) -> Found:
        """Return an equal answer that is kept already, so that equal ones are kept once."""
        return self._known.setdefault(found, found)

    def between(self, begin: float, end: float) -> list[Told]:
        """Return what was asked or answered in a time: who waits when a fault begins feels it."""
        return [one for one in tuple(self.told) if begin <= one.began + one.seconds and one.began < end]

    def taken(self) -> list[Told]:
        """Return what was told since the last call, and keep none of it."""
        told, self.told = self.told, []
        return told


@contextmanager
def searching(addresses: Sequence[str], texts: Sequence[str], callers: int, pause: float) -> Iterator[Load]:
    """Search from so many clients for a block. pause: seconds between an answer and the next question."""
    load, over = Load(), threading.Event()

    def ask(first: int) -> None:
        with Client(list(addresses)) as client:
            for number in itertools.count(first):
                if over.is_set():
                    return
                load.add(search(client, texts[number % len(texts)], load))
                over.wait(pause)

    threads = [threading.Thread(target=ask, args=(5 * number,), daemon=True) for number in range(callers)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        over.set()
        for thread in threads:
            thread.join()


def search(client: Client, text: str, load: Load) -> Told:
    """Search once."""
    began, clock = time.time(), time.perf_counter()
    try:
        result = client.search(text, page_size=PAGE)
    except SearchError as error:
        return Told(began, time.perf_counter() - clock, text, error=f"{error.reason}: {error}")
    seconds = time.perf_counter() - clock
    coverage = result.coverage
    found = load.once(_found(result))
    return Told(began, seconds, text, result.generation, coverage.unreachable, coverage.degraded, found)


def wrong(told: Sequence[Told], oracle: Oracle) -> list[str]:
    """Return a sentence for every answer that is not what its version, and what it says it lacks, give."""
    return [
        f"{one.text!r} of version {one.version}, without {one.lost or 'nothing'}: {one.found[:3]}..."
        for one in told
        if not one.error and not _right(one, oracle)
    ]


def _right(one: Told, oracle: Oracle) -> bool:
    refined = "RANKER_SKIPPED" not in one.partial
    return same(one.found, oracle.answer(one.version, one.text, one.lost, refined))


def _found(result: SearchResult) -> Found:
    return tuple((one.video, one.start, one.end, one.score) for one in result.moments)
