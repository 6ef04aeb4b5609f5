"""The coordinator: public service, admin service, the monitor that sets their health, and the switchers."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import grpc.aio
from cachetools import LRUCache
from grpc_health.v1 import health
from prometheus_client.metrics_core import Metric

from engine import (
    control_pipe,
    coordinator_metrics,
    line,
    looks,
    metrics,
    part_texts,
    ports,
    servers,
    serving,
)
from engine.access import opened
from engine.access.channels import Connect, plain
from engine.admin import AdminServicer
from engine.admission import Admission
from engine.config import Topology
from engine.corpus import Corpus
from engine.discovery import Discovery, Targets
from engine.draining import Draining
from engine.encoding import Sentences
from engine.entrance import Entrance
from engine.errors import InvalidInput, NotFound, Unavailable
from engine.feedback import FeedbackServicer
from engine.fleet import Fleet
from engine.hedging import Hedging
from engine.library import Library
from engine.mirrored import sources_of
from engine.monitor import Monitor
from engine.pipeline import Pipeline
from engine.preparing import Preparing
from engine.ranking import Rankers
from engine.retrieval import Retriever
from engine.served import Collections, ServedCollection
from engine.servicer import SearchServicer
from engine.sources import Source, Wants
from engine.standing import STREAMS, StandingServicer
from engine.switching import Switcher
from spr.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from spr.v1.feedback_service_pb2_grpc import add_FeedbackServiceServicer_to_server
from spr.v1.search_service_pb2_grpc import add_SearchServiceServicer_to_server
from spr.v1.standing_service_pb2_grpc import add_StandingServiceServicer_to_server

SEARCH, ADMIN, FEEDBACK = "spr.v1.SearchService", "spr.v1.AdminService", "spr.v1.FeedbackService"
STANDING = "spr.v1.StandingService"
_FEEDBACK_CALLS = ("RecordJudgements", "ListJudgements", "DeleteJudgements")
FEEDBACK_AT_ONCE = 32
_PUBLIC = "it is the coordinator's for searches; its admin service has a port of its own, 7401 by default"
_OPERATORS = "it is the coordinator's admin port; searches have a port of their own, 7400 by default"


class Coordinator:
    """One coordinator in the running event loop, listening at `address` and `admin_address`.

    on_health is called when searches begin or cease to be answerable.
    """

    def __init__(self, topology: Topology, on_health: Callable[[bool], None] = lambda _: None) -> None:
        self._on_health = on_health
        config = topology.coordinator
        self._hedging: list[Hedging] = []
        access = opened(topology.access)
        connect: Connect = access.connect if access else plain
        self._door = access.for_callers() if access else None
        self._fleet, self._preparing = Fleet(topology, connect), Preparing()
        self._library = Library(topology.library, connect) if topology.library else None
        sentences: Sentences = LRUCache(config.encoded_queries)
        sources = sources_of(topology, Wants((part_texts.FILE, looks.LOOKS, looks.LOOKS_OF)))
        self._switchers = [self._switcher(topology, source, sentences) for source in sources.values()]
        self.collections = Collections([switcher.collection for switcher in self._switchers])
        self._begin()
        self._monitor = Monitor(
            self.collections, self._fleet, self._preparing, self._library, control_pipe.down
        )
        self._discovery = Discovery(topology, self._follow)
        self._monitor.on_lost = self._discovery.poke
        self._fleet.on_gone = self._gone
        self._public, self._admin = self._serve(topology)
        self._probes = servers.add_probes(self._public, [SEARCH, FEEDBACK])
        self._admin_probes = servers.add_probes(self._admin, [ADMIN, STANDING])
        if not topology.takeover:
            for address in (config.listen, config.admin):
                ports.check_free(address)
        self.address = servers.bind(self._public, config.listen, self._door, topology.insecure)
        self.admin_address = servers.bind(self._admin, config.admin, self._door, topology.insecure)
        self._watching: list[asyncio.Task[None]] = []
        self._state = metrics.State(self._read_metrics)

    async def start(self, on_look: Callable[[Mapping[str, float], str], None] = lambda *_: None) -> None:
        """Serve, probe the workers, follow the versions. Healthy once a shard and a ranker answer.

        on_look: called once a second with the seconds that workers have not answered, by target, and the mark
        of the topology file that is in use.
        """
        for collection in self.collections.all:
            coordinator_metrics.prepare(collection)
        self._state.begin()
        await self._tell(False)
        for name in (ADMIN, STANDING):
            await self._admin_probes.set(name, servers.SERVING)
        # A search that came before the workers are known would be answered by chance.
        await asyncio.gather(self._discovery.look(), self._monitor.look())
        for server in self._servers():
            await server.start()
        runs: list[Coroutine[Any, Any, None]] = [switcher.run() for switcher in self._switchers]
        runs.append(self._discovery.run())
        look = partial(self._look, on_look)
        runs.append(self._monitor.run(self._changed, look))
        if self._library is not None:
            runs.append(self._library.watch(self._poke))
        self._watching = [asyncio.create_task(run) for run in runs]

    async def stop(self, grace: float = serving.GRACE) -> None:
        """Drain for at most `grace` seconds, then close everything."""
        self._state.end()
        await self._probes.enter_graceful_shutdown()
        await asyncio.gather(*(server.stop(grace) for server in self._servers()))
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
        await self._preparing.close()
        await self._fleet.close()
        if self._library is not None:
            await self._library.close()
        for switcher in self._switchers:
            switcher.close()

    def _switcher(self, topology: Topology, source: Source, sentences: Sentences) -> Switcher:
        config, fleet = topology.coordinator, self._fleet
        # Latencies are a collection's: versions of it take about as long.
        searching, encoding, ranking = kinds = [Hedging(config.max_in_flight) for _ in range(3)]
        self._hedging += kinds

        def pipeline(corpus: Corpus) -> Pipeline:
            rankers = Rankers(corpus, fleet, config, encoding, ranking)
            return Pipeline(corpus, Retriever(corpus, fleet, config, searching), rankers, sentences)

        collection = ServedCollection(source.home, config.max_in_flight)
        return Switcher(collection, source, fleet, self._preparing, pipeline, config.page_ttl)

    def _look(self, on_look: Callable[[Mapping[str, float], str], None]) -> None:
        active = [one.active.corpus.version for one in self.collections.all if one.active is not None]
        settled = self._fleet.let_go(active)
        on_look(self._monitor.silent(), self._discovery.mark if settled else "")

    def _follow(self, topology: Topology, resolved: Targets) -> None:
        """Use the workers of a topology; InvalidInput where it lacks a shard of what is served."""
        served = [one for collection in self.collections.all for one in collection.versions.values()]
        needed = {shard.name for one in served for shard in one.corpus.version.shards}
        self._fleet.follow(topology, resolved, needed)

    def _gone(self, target: str) -> None:
        self._preparing.forget(target)
        for hedging in self._hedging:
            hedging.forget(target)

    def _begin(self) -> None:
        """Open what every collection's CURRENT names; the first collection must have a version."""
        for switcher in self._switchers:
            try:
                switcher.begin()
            except (NotFound, Unavailable):
                if switcher is self._switchers[0]:
                    raise
        first: dict[str, Path] = {}
        for one in self.collections.all:
            if (other := first.setdefault(one.name, one.directory)) is not one.directory:
                raise InvalidInput(
                    f"two collections of the topology are named {one.name!r}, {other} and {one.directory}; "
                    "give one of them another name with `spr build DIR --name NAME`"
                )

    def _serve(self, topology: Topology) -> tuple[grpc.aio.Server, grpc.aio.Server]:
        """Return the public and the operators' server."""
        config = topology.coordinator
        entrance = Entrance(self.collections.all, config)
        # Batches are admitted as a whole, when their queries are known.
        most = line.BATCHED * config.max_in_flight * len(self._switchers)
        self._batches = Admission(most)
        admissions = {f"/{SEARCH}/BatchSearch": self._batches}
        # A flood of them leaves searches alone.
        judging = Admission(FEEDBACK_AT_ONCE)
        admissions |= {f"/{FEEDBACK}/{call}": judging for call in _FEEDBACK_CALLS}
        public = servers.aio_server(
            entrance, about=_PUBLIC, admissions=admissions, shared=True, door=self._door
        )
        add_SearchServiceServicer_to_server(SearchServicer(self.collections, config), public)
        add_FeedbackServiceServicer_to_server(FeedbackServicer(self.collections, self._library), public)
        streams = {f"/{STANDING}/WatchMatches": Admission(STREAMS)}
        admin = servers.aio_server(
            Admission(8), about=_OPERATORS, admissions=streams, shared=True, door=self._door
        )
        draining = Draining(self._fleet, self._monitor, self.collections)
        operator = AdminServicer(
            self.collections, self._switchers, self._monitor, draining, self._library, self._discovery
        )
        add_AdminServiceServicer_to_server(operator, admin)
        standing = StandingServicer(self.collections, self._library)
        add_StandingServiceServicer_to_server(standing, admin)
        return public, admin

    def _servers(self) -> Sequence[grpc.aio.Server]:
        return self._public, self._admin

    def _poke(self) -> None:
        for switcher in self._switchers:
            switcher.poke()

    async def _changed(self, healthy: bool) -> None:
        await self._tell(healthy)
        self._on_health(healthy)

    def _read_metrics(self) -> Iterator[Metric]:
        yield from metrics.admissions(
            {"batches": self._batches, **{one.name: one.queue.line for one in self.collections.all}}
        )
        yield from coordinator_metrics.read(self.collections, self._fleet, self._monitor, time.monotonic())

    async def _tell(self, healthy: bool) -> None:
        metrics.bound(metrics.SERVING, SEARCH).set(healthy)
        state = servers.SERVING if healthy else servers.NOT_SERVING
        for name in (health.OVERALL_HEALTH, SEARCH):
            await self._probes.set(name, state)
