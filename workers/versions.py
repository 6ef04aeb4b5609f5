"""The versions that a worker holds, several of several collections at once.

    held = Held(topology.directories, open_version)    # open_version(corpus, healing) -> what is served
    held.prepare_current()                             # at start
    held.start(lambda fit: set_health(SERVICE, fit))   # watches the files, heals
    content = held.get(request.generation)             # in a call; stays alive as long as it is referenced

What `open_version` returns is immutable. If a file of a part goes bad, the version is opened anew as soon as
that can succeed, sound parts shared (`workers.open_parts`), and takes the place of the old one.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from engine.corpus import Corpus, Known, open_corpus
from engine.errors import Mismatch, SprError, Unavailable, quoted
from engine.sources import Here, Source
from spr.internal.v1 import version_service_pb2 as pb
from workers import watch
from workers.directories import directory_of
from workers.watch import Watch

log = logging.getLogger("spr.versions")


class Servable(Protocol):
    """A version as a worker serves it."""

    @property
    def watches(self) -> Sequence[Watch]:
        """The watches of the parts that it reads."""

    def about(self) -> pb.HeldVersion:
        """Describe it; the fault is left empty."""


T = TypeVar("T", bound=Servable)


@dataclass(slots=True)
class _Entry(Generic[T]):
    source: Source
    content: T
    release: contextlib.ExitStack
    tried: object = None  # the damaged files as they were when it was last tried to open them anew

    @property
    def fault(self) -> str:
        return next((one.fault for one in self.content.watches if one.fault), "")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a preparation took: seconds (0 where the version was held), parts opened and shared."""

    elapsed: float
    opened: int
    shared: int


class Held(Generic[T]):
    """Versions by id. `get`, `listing` and `drop` are thread-safe and never wait for a preparation."""

    def __init__(
        self,
        directories: Sequence[Path],
        open_version: Callable[[Corpus, bool], T],
        sources: Mapping[Path, Source] | None = None,
    ) -> None:
        """Hold versions of the collections in `directories`, the first of which "" names.

        sources: where their files come from, by directory; None: all are here.
        open_version: opens a version for serving, warmed up; its second argument is True when a damaged
        version that was served is opened anew. Called by one thread at a time.
        """
        self._directories = tuple(directories)
        self._sources = sources or {directory: Here(directory) for directory in directories}
        self._open = open_version
        self._known: dict[Path, Known] = {directory: {} for directory in directories}
        self._held: dict[str, _Entry[T]] = {}
        self._opening = threading.Lock()
        self._ended = threading.Event()

    def prepare_current(self) -> None:
        """Prepare every collection's current version; the first's must succeed, others are only noted.

        The first may have fewer shards than another, and none for this worker.
        """
        refused: SprError | None = None
        for number, directory in enumerate(self._directories):
            try:
                self._prepare(directory, "")
            except SprError as error:
                refused = refused or error
                if number == 0 and error.reason != "SHARD_NOT_FOUND":
                    raise
                log.warning("nothing is served of %s: %s", directory, error)
        if refused is not None and not self._held:
            raise refused

    def prepare(self, collection: str, version: str) -> Prepared:
        """Open a version of the collection named; at once where it is held. Errors as `open_version`'s."""
        return self._prepare(directory_of(self._directories, collection, version), version)

    def get(self, version: str) -> T:
        """Return a version; Mismatch (GENERATION_MISMATCH) where it is not held."""
        entry = self._held.get(version)
        if entry is None:
            there = ", ".join(self._held) or "none"
            message = f"the caller asks version {quoted(version)}, this worker holds {there}: "
            raise Mismatch(message + "let it prepare the version first.", "GENERATION_MISMATCH")
        return entry.content

    def contents(self) -> list[T]:
        """Return every version that is held."""
        return [entry.content for entry in list(self._held.values())]

    def drop(self, version: str) -> None:
        """Close a version, if it is held; calls in flight end on it."""
        entry = self._held.pop(version, None)
        if entry is not None:
            entry.release.close()
            log.info("version dropped", extra={"version": version})

    def listing(self) -> list[pb.HeldVersion]:
        """Return what is held, with the faults."""
        found = []
        for entry in list(self._held.values()):
            about = entry.content.about()
            about.fault = entry.fault
            found.append(about)
        return found

    @property
    def watches(self) -> list[Watch]:
        """Return what watches the parts of all versions, each once."""
        entries = list(self._held.values())
        return list({id(one): one for entry in entries for one in entry.content.watches}.values())

    @property
    def sound(self) -> bool:
        """Whether any version is held that has no fault."""
        return any(not entry.fault for entry in list(self._held.values()))

    def start(self, on_health: Callable[[bool], None]) -> None:
        """Look after the files in a thread, until `stop`; call `on_health` when `sound` has changed."""
        threading.Thread(target=self._run, args=(on_health,), name="watch", daemon=True).start()

    def stop(self) -> None:
        """Look after the files no longer; a look that has begun ends by itself."""
        self._ended.set()

    def look(self) -> None:
        """Watch every file once, scrub a little, and try to heal what is damaged and has changed on disk."""
        for one in self.watches:
            one.look()
        for version, entry in list(self._held.items()):
            if entry.fault:
                self._heal(version, entry)

    def _prepare(self, directory: Path, version: str) -> Prepared:
        began, source = time.perf_counter(), self._sources[directory]
        with contextlib.ExitStack() as stack:
            # Files are copied before its turn to open: what is damaged can be healed meanwhile.
            name = stack.enter_context(source.fetched(version))
            with self._opening:
                held = self._held.get(name)
                if held is not None and not held.fault:
                    return Prepared(0.0, 0, len(held.content.watches))
                if held is not None:
                    self._reopen(held, name)
                    return Prepared(time.perf_counter() - began, 0, len(held.content.watches))
                before = {id(one) for entry in list(self._held.values()) for one in entry.content.watches}
                content = self._opened(source, name)
                self._held[name] = _Entry(source, content, stack.pop_all())
        shared = sum(id(one) in before for one in content.watches)
        done = Prepared(time.perf_counter() - began, len(content.watches) - shared, shared)
        about = {"version": name, "seconds": round(done.elapsed, 3), "opened": done.opened, "shared": shared}
        log.info("version prepared", extra=about)
        return done

    def _opened(self, source: Source, version: str, anew: bool = False) -> T:
        known = self._known[source.home]
        try:
            return self._open(open_corpus(source.home, version, known), anew)
        except Mismatch:
            if not source.repair(version):
                raise
        return self._open(open_corpus(source.home, version, known), anew)

    def _reopen(self, entry: _Entry[T], version: str) -> None:
        entry.content = self._opened(entry.source, version, anew=True)
        entry.tried = None

    def _heal(self, version: str, entry: _Entry[T]) -> None:
        files = [one.on_disk() for one in entry.content.watches if one.fault]
        if files == entry.tried:
            return
        if entry.tried is None:
            log.error("version out of service: %s", entry.fault, extra={"version": version})
        entry.tried = files
        try:
            with self._opening:
                self._reopen(entry, version)
        except (SprError, OSError) as error:
            if isinstance(error, Unavailable):
                entry.tried = ()  # nothing on disk has to change for the next try
            log.error("version cannot be healed yet: %s", error, extra={"version": version})
        else:
            log.warning("version healed; it is served again", extra={"version": version})

    def _run(self, on_health: Callable[[bool], None]) -> None:
        fit = True
        while not self._rest():
            try:
                self.look()
            except Exception:
                log.exception("the watch failed; it goes on")
            if self.sound != fit:
                fit = not fit
                on_health(fit)

    def _rest(self) -> bool:
        """Wait until the next look is due, and hash what nobody has hashed meanwhile; True at the end."""
        for _ in range(watch.SLICES):
            if self._ended.wait(watch.INTERVAL / watch.SLICES):
                return True
            for one in self.watches:
                one.begin()
        return False
