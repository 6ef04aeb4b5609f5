"""Health probes: asks every worker what it holds, and has it prepare what it lacks.

Once a second; of one that is not well four times a second, so that it is used as soon as it is back.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeAlias

from engine.fleet import Fleet
from engine.library import Library
from engine.preparing import Preparing
from engine.probes import Probes
from engine.served import Collections
from engine.worker_state import WorkerState

_log = logging.getLogger("spr.monitor")
INTERVAL, SHORT = 1.0, 0.25
# A worker's name and address, and what asks it.
Key: TypeAlias = tuple[str, str]
Probe: TypeAlias = Callable[[], Awaitable[WorkerState]]


class Monitor:
    """The state of every worker.

    down: why a worker's process has ended, by target, as the supervisor reports. on_lost: called when a
    worker that answered does not.
    """

    def __init__(
        self,
        collections: Collections,
        fleet: Fleet,
        preparing: Preparing,
        library: Library | None = None,
        down: Mapping[str, str] | None = None,
    ) -> None:
        self._collections, self._fleet, self._library = collections, fleet, library
        self._ask = Probes(collections, preparing, library, {} if down is None else down)
        self._found: dict[Key, WorkerState] = {}
        self._running: dict[Key, asyncio.Task[None]] = {}
        self._due: dict[Key, float] = {}
        self.on_lost: Callable[[], None] = lambda: None
        self._late_since: dict[str, float] = {}

    @property
    def workers(self) -> list[WorkerState]:
        """What the last probe of each worker found: index workers by shard, rankers, the library."""
        return [self._found[key] for key in self._probes() if key in self._found]

    @property
    def healthy(self) -> bool:
        """Whether a search can be answered: of a collection a shard is served, and queries are encoded."""
        needed = {"index", "ranker" if self._fleet.encoders is self._fleet.rankers else "encoder"}
        return any(
            needed <= {worker.role for worker in self.workers if worker.serves(collection)}
            for collection in self._collections.all
        )

    def silent(self) -> dict[str, float]:
        """Return how long probes of each late worker have timed out, in seconds by target."""
        now = time.monotonic()
        return {target: round(now - since, 1) for target, since in self._late_since.items()}

    async def run(
        self, on_change: Callable[[bool], Awaitable[None]], on_look: Callable[[], None] = lambda: None
    ) -> None:
        """Probe every worker until cancelled; `on_change` is told when `healthy` changes."""
        known: bool | None = None
        next_look = 0.0
        await self.look()
        try:
            while True:
                now = time.monotonic()
                if self.healthy != known:
                    known = self.healthy
                    await on_change(known)
                if now >= next_look:
                    next_look = now + INTERVAL
                    on_look()
                self._begin(now)
                await asyncio.sleep(min(SHORT, INTERVAL))
        finally:
            running = list(self._running.values())
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def look(self) -> None:
        """Probe every worker now, and wait for what they say."""
        self._begin(None)
        if self._running:
            # Others wait for the same probes: a caller that leaves must not end them, as `gather` would.
            await asyncio.wait(list(self._running.values()))

    def _probes(self) -> dict[Key, Probe]:
        """Return how to probe each worker that the topology has now."""
        found: dict[Key, Probe] = {}
        for name, shard in self._fleet.shards.items():
            found |= {(name, one.target): partial(self._ask.index, shard, name, one) for one in shard.members}
        for group in self._fleet.all[len(self._fleet.shards) :]:
            for i, one in enumerate(group.members):
                name = f"{group.name}-{i}"
                found[name, one.target] = partial(self._ask.ranker, group, name, one)
        if self._library is not None:
            found["library", self._library.target] = self._ask.library
        return found

    def _begin(self, now: float | None) -> None:
        """Start the probes that are due at `now`, all for None, but for those that run already."""
        probes = self._probes()
        for gone in set(self._found) - set(probes):
            self._found.pop(gone)
            self._due.pop(gone, None)
            self._late_since.pop(gone[1], None)
        for key, probe in probes.items():
            if key not in self._running and (now is None or now >= self._due.get(key, 0.0)):
                self._running[key] = asyncio.create_task(self._probe(key, probe))

    async def _probe(self, key: Key, probe: Probe) -> None:
        began, target = time.monotonic(), key[1]
        self._due[key] = began + INTERVAL
        try:
            state = await probe()
        except Exception as error:
            _log.error("the probe of %s failed", target, exc_info=error)
            return
        finally:
            self._running.pop(key, None)
        if state.state != "serving":
            self._due[key] = began + SHORT
        before, self._found[key] = self._found.get(key), state
        if before is None or before.state != state.state:
            _log.info("%s at %s is %s", state.name, target, state.state, extra={"why": state.why})
            if before is not None and not state.reached:
                self.on_lost()
        if state.late:
            self._late_since.setdefault(target, began)
        else:
            self._late_since.pop(target, None)
