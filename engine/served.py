"""The collections that a coordinator serves, each with its active version and those beside it."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine import versions
from engine.answers import Answer
from engine.corpus import Corpus
from engine.errors import Mismatch, NotFound, SprError, quoted
from engine.files import BadJson, read_json
from engine.pipeline import Pipeline
from engine.printable import same_name
from engine.recent import Recent
from engine.search_queue import SearchQueue

# Seconds that a version stays prepared after its last query. While a coordinator hands over to its successor,
# the two of them may switch some seconds apart.
LINGER = 10.0


@dataclass(slots=True)
class Statistics:
    """Counters of searches, for `spr admin status`. recent: how long they took, page tokens included."""

    answered: int = 0
    failed: int = 0
    degraded: int = 0
    recent: Recent = field(default_factory=Recent)

    def count(self, answer: Answer) -> None:
        """Count an answer, and whether it was degraded."""
        self.answered += 1
        self.degraded += bool(answer.coverage.degraded)


@dataclass(eq=False, slots=True)
class Served:
    """A version that workers have prepared. release: what it holds until it is dropped.

    in_flight: its queries. used: when the last of them ended. linger: seconds it stays after that.
    """

    corpus: Corpus
    pipeline: Pipeline
    release: contextlib.ExitStack
    in_flight: int = 0
    used: float = field(default_factory=time.monotonic)
    linger: float = LINGER

    @property
    def idle(self) -> bool:
        """Whether nothing needs it any more, unless it is the active one."""
        return not self.in_flight and time.monotonic() - self.used >= self.linger


class ServedCollection:
    """One collection. Belongs to one event loop.

    active: what new queries are answered from, None until there is a version. versions: it and those beside
    it, by id. coming: ids of those that are being prepared. newest: what CURRENT names. fault: why that is
    not active. limit: units of cost in flight; see `Line`. others: of the same service.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self.directory = directory
        self.name = _name_of(directory)
        self.active: Served | None = None
        self.versions: dict[str, Served] = {}
        self.newest = self.fault = ""
        self.coming: set[str] = set()
        self.statistics = Statistics()
        self.queue = SearchQueue(limit)
        self.others: tuple[ServedCollection, ...] = ()

    @property
    def active_id(self) -> str:
        """The active version's id, "" without one."""
        return "" if self.active is None else self.active.corpus.id

    def switch(self, served: Served) -> Served | None:
        """Answer new queries from a version; return the one that was active."""
        before, self.active = self.active, served
        self.versions[served.corpus.id] = served
        self.name, served.linger = served.corpus.name, LINGER
        if before is not None:
            before.used = time.monotonic()
        return before

    def check_name(self, served: Served) -> None:
        """Refuse (Mismatch) a version with the name of another collection, where searches would go then."""
        about = served.corpus.version
        if any(same_name(one.name, about.collection) for one in self.others):
            raise Mismatch(
                f"version {about.id} of {self.directory} is called {about.collection!r}, as another "
                "collection that is served here: build it anew with `spr build --name`, or serve it alone",
                "NOT_PREPARED",
            )

    @contextlib.contextmanager
    def pinned(self, version: str = "") -> Iterator[Served]:
        """Hold a version for one query, by id or number, the active one for ""; NotFound for another."""
        served = self._find(version)
        served.in_flight += 1
        try:
            yield served
        finally:
            served.in_flight -= 1
            served.used = time.monotonic()

    def _find(self, version: str) -> Served:
        if not version:
            if self.active is None:
                why = self.fault or _without_version(self.directory)
                message = f"nothing of collection {self.name!r} can be searched: {why}"
                raise NotFound(message, "GENERATION_NOT_FOUND")
            return self.active
        for served in self.versions.values():
            about = served.corpus.version
            if version == about.id or (version.isdecimal() and version == str(about.number)):
                return served
        there = ", ".join(str(served.corpus.version.number) for served in self.versions.values()) or "none"
        raise NotFound(
            f"version {quoted(version)} of collection {self.name!r} is not prepared; these are: {there}",
            "GENERATION_NOT_FOUND",
        )


def _without_version(directory: Path) -> str:
    """Say why nothing of a collection is served, and what to run."""
    try:
        return f"version {versions.current(directory)} is being prepared"
    except SprError as error:
        return str(error)


class Collections:
    """The collections of a service, the first one first."""

    def __init__(self, all_of_them: Sequence[ServedCollection]) -> None:
        self.all = tuple(all_of_them)
        for collection in self.all:
            collection.others = tuple(one for one in self.all if one is not collection)

    @property
    def first(self) -> ServedCollection:
        """The one that is meant where none is named."""
        return self.all[0]

    def named(self, name: str) -> ServedCollection:
        """Return a collection by its name, the first one for ""; NotFound with the names that there are."""
        for collection in self.all:
            if name == "" or same_name(name, collection.name):
                return collection
        there = ", ".join(repr(collection.name) for collection in self.all)
        message = f"collection {quoted(name)} is not served here; these are: {there}"
        raise NotFound(message, "COLLECTION_NOT_FOUND")


def _name_of(directory: Path) -> str:
    """Return the name that a collection's first version will have."""
    with contextlib.suppress(FileNotFoundError, BadJson, OSError):
        about = read_json(directory / "collection.json", dict)
        if isinstance(about.get("name"), str) and about["name"]:
            return str(about["name"])
    return directory.name
