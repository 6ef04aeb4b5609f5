"""Switches a collection from one version to another while it is served.

A version is prepared on all workers first. New queries take it once every shard and the ranker have a worker
that is ready; queries in flight end on theirs, and the old version is dropped when nothing needs it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine import quorum, substitutes, versions
from engine.corpus import Corpus, Known, open_corpus
from engine.errors import InvalidInput, Mismatch, NotFound, SprError
from engine.files import refusal_of
from engine.fleet import Fleet
from engine.lineage import before
from engine.pipeline import Pipeline
from engine.preparing import FIRST_PAUSE, LONGEST_PAUSE, Preparing
from engine.quorum import LeftOut
from engine.served import Served, ServedCollection
from engine.sources import Source

_log = logging.getLogger("spr.versions")
POLL = 1.0  # seconds between looks at CURRENT


@dataclass(frozen=True, slots=True)
class Activation:
    """What a switch came to: the version, what was active before, the workers that could not prepare."""

    version: str
    previous: str
    left_out: tuple[LeftOut, ...]


class Switcher:
    """Keeps one collection at the version that CURRENT names.

    source: of its files. pipeline: makes a version's. kept: seconds that a version stays, not activated.
    """

    def __init__(
        self,
        collection: ServedCollection,
        source: Source,
        fleet: Fleet,
        preparing: Preparing,
        pipeline: Callable[[Corpus], Pipeline],
        kept: float,
    ) -> None:
        self.collection, self._source = collection, source
        self._directory = collection.directory
        self._fleet, self._preparing, self._pipeline, self._kept = fleet, preparing, pipeline, kept
        self._known: Known = {}
        self._turn = asyncio.Lock()
        self._poked = asyncio.Event()
        self._settled = False
        self._failed, self._again, self._pause = "", 0.0, FIRST_PAUSE

    def begin(self) -> None:
        """Make active what CURRENT names before any worker was asked; one before it if it cannot be served.

        NotFound where there is no version; InvalidInput where the topology fits none.
        """
        self._source.watch()
        current = self.collection.newest = versions.current(self._directory)
        try:
            self.collection.switch(self._open(current))
            return
        except (InvalidInput, Mismatch, NotFound) as error:
            refused: SprError = error
        for candidate in substitutes.unasked(self._directory, current):
            with contextlib.suppress(SprError):
                self.collection.switch(served := self._open(candidate))
                self._note_failure(current, refused)
                _log.warning("version %s is served instead", served.corpus.id)
                return
        raise refused

    async def run(self) -> None:
        """Follow CURRENT until cancelled."""
        while True:
            try:
                await self._look()
            except (SprError, OSError) as error:
                _log.warning("collection %s cannot be looked at: %s", self._directory, error)
            except Exception as error:
                _log.error("following collection %s failed", self._directory, exc_info=error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL):
                    await self._poked.wait()
            self._poked.clear()

    def poke(self) -> None:
        """Look at CURRENT now."""
        self._poked.set()

    async def activate(self, version: str = "", roll_back: bool = False) -> Activation:
        """Switch to a version, by id or number, or to the parent of the active one; CURRENT names it then.

        NotFound for an unknown one; Mismatch NOT_PREPARED, and nothing changed, where workers cannot.
        """
        async with self._turn:
            return await self._switch(self._parent() if roll_back else await self._resolved(version))

    async def prepare(self, version: str) -> Activation:
        """Prepare a version beside the active one, so that searches may name it; it stays for a while."""
        async with self._turn:
            served, left_out = await self._prepared(await self._resolved(version))
            if served is not self.collection.active:
                served.used, served.linger = time.monotonic(), self._kept
                self.collection.versions[served.corpus.id] = served
            return Activation(served.corpus.id, self.collection.active_id, left_out)

    def close(self) -> None:
        """Follow no store any more; release every version's lock."""
        self._source.close()
        for served in self.collection.versions.values():
            served.release.close()

    async def _look(self) -> None:
        """Switch to what CURRENT names, if it is another version and can be prepared."""
        async with self._turn:
            # Read in turn: an activation that waits for its own writes CURRENT as well.
            newest = await asyncio.to_thread(versions.newest, self._directory)
            self.collection.newest = newest
            if newest and newest != self.collection.active_id:
                if newest != self._failed or time.monotonic() >= self._again:
                    await self._follow(newest)
            else:
                self._failed, self._pause, self.collection.fault = "", FIRST_PAUSE, ""
            if not self._settled:
                await self._settle()
            self._drop_idle()

    async def _follow(self, newest: str) -> None:
        try:
            await self._switch(newest, write=False)
        except (SprError, OSError) as error:
            self._note_failure(newest, error)

    async def _switch(self, version: str, write: bool = True) -> Activation:
        """Prepare a version and make it active. write: also the one that CURRENT names."""
        began = time.monotonic()
        served, left_out = await self._prepared(version)
        if write and await asyncio.to_thread(versions.newest, self._directory) != version:
            await asyncio.to_thread(self._source.activate, version)
        if write:
            self.collection.newest = version
        before = self.collection.switch(served)
        previous = "" if before is None else before.corpus.id
        self._settled = True
        self._failed, self._pause, self.collection.fault = "", FIRST_PAUSE, ""
        if previous != version:
            extra = {
                "previous": previous,
                "seconds": round(time.monotonic() - began, 3),
                "left_out": [f"{one.worker} at {one.target}: {one.why}" for one in left_out],
            }
            _log.info("%s: version %s is active", self.collection.name, version, extra=extra)
        return Activation(version, previous, left_out)

    async def _prepared(self, version: str) -> tuple[Served, tuple[LeftOut, ...]]:
        """Open a version and have the workers prepare it; Mismatch NOT_PREPARED if not enough of them can."""
        kept = self.collection.versions.get(version)
        served = kept if kept is not None else await asyncio.to_thread(self._open, version)
        about = served.corpus.version
        self.collection.coming.add(version)
        try:
            self.collection.check_name(served)
            groups = self._fleet.of(about)
            ready = await quorum.prepare(self._preparing, groups, about.collection, version)
            if ready.lacking:
                if kept is None:
                    for member in ready.members:
                        self._preparing.drop(member, about.collection, version)
                active = self.collection.active_id
                stays = f"version {active} stays active" if active else "none is active"
                message = f"version {version} was not prepared by any worker of {ready.why()}; {stays}"
                raise Mismatch(message, "NOT_PREPARED")
        except BaseException:
            if kept is None:
                served.release.close()
            raise
        finally:
            self.collection.coming.discard(version)
        return served, tuple(ready.left_out)

    async def _settle(self) -> None:
        """Once workers answered for the version of the start: keep it, or find one that they can serve."""
        active = self.collection.active
        if active is None:
            return
        version = active.corpus.version
        groups = self._fleet.of(version)
        if all(any(version.id in member.held for member in group.members) for group in groups):
            self._settled = True
            return
        refused = substitutes.refusals(self._preparing, groups, version.id)
        if not refused:
            return
        held = {name for group in groups for member in group.members for name in member.held}
        for candidate in await asyncio.to_thread(substitutes.of, self._directory, version, held):
            with contextlib.suppress(SprError, OSError):
                await self._switch(candidate, write=False)
                self._note_failure(version.id, Mismatch(f"no worker can prepare it: {refused[0]}"))
                return

    def _open(self, version: str) -> Served:
        """Read a version's files, and hold it against removal."""
        with contextlib.ExitStack() as opened:
            name = opened.enter_context(self._source.fetched(version))
            corpus = open_corpus(self._directory, name, self._known)
            self._fleet.of(corpus.version)
            return Served(corpus, self._pipeline(corpus), opened.pop_all())

    def _drop_idle(self) -> None:
        """Drop what is neither active nor needed."""
        active = self.collection.active
        for served in [one for one in self.collection.versions.values() if one is not active and one.idle]:
            about = served.corpus.version
            del self.collection.versions[about.id]
            served.release.close()
            for group in self._fleet.of(about):
                for member in group.members:
                    self._preparing.drop(member, about.collection, about.id)
            _log.info("%s: version %s is dropped", about.collection, about.id)

    def _note_failure(self, version: str, error: SprError | OSError) -> None:
        if self._failed != version:
            self._failed, self._pause = version, FIRST_PAUSE
            _log.warning("%s: version %s is not served: %s", self.collection.name, version, error)
        self.collection.fault = str(refusal_of(error) or error)
        self._again = time.monotonic() + self._pause
        self._pause = min(2 * self._pause, LONGEST_PAUSE)

    async def _resolved(self, version: str) -> str:
        return await asyncio.to_thread(self._source.named, version)

    def _parent(self) -> str:
        active = self.collection.active
        if not (parent := "" if active is None else before(self._directory, active.corpus.version)):
            of = f"version {self.collection.active_id}" if active else f"collection {self.collection.name!r}"
            message = f"{of} was made from no other version: name the one to activate"
            raise InvalidInput(message, field="roll_back")
        return parent
