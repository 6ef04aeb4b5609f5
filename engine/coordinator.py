"""The coordinator: public service, admin service, and the monitor that sets their health."""

import asyncio
from collections.abc import Callable, Mapping, Sequence

import grpc.aio
from grpc_health.v1 import health

from engine import control_pipe, servers, serving
from engine.admin import AdminServicer
from engine.admission import Admission
from engine.collection import Collection
from engine.config import Topology
from engine.monitor import Monitor
from engine.pipeline import Pipeline
from engine.ranking import Rankers
from engine.retrieval import Retriever
from engine.servicer import SearchServicer, Statistics
from spr.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from spr.v1.search_service_pb2_grpc import add_SearchServiceServicer_to_server

SEARCH, ADMIN = "spr.v1.SearchService", "spr.v1.AdminService"
_PUBLIC = "it is the coordinator's for searches; its admin service has a port of its own, 7401 by default"
_OPERATORS = "it is the coordinator's admin port; searches have a port of their own, 7400 by default"


class Coordinator:
    """One coordinator in the running event loop, listening at `address` and `admin_address`.

    on_health is called when searches begin or cease to be answerable.
    """

    def __init__(
        self, topology: Topology, collection: Collection, on_health: Callable[[bool], None] = lambda _: None
    ) -> None:
        self._on_health = on_health
        config = topology.coordinator
        retriever = Retriever(collection, topology.index, config)
        rankers = Rankers(collection, topology.ranker, config)
        self._pipeline = Pipeline(collection, retriever, rankers, config.encoded_queries)
        self._monitor, statistics = Monitor(collection, retriever, rankers, control_pipe.down), Statistics()
        admission, batches = Admission(config.max_in_flight), Admission(config.max_in_flight)
        # Batches are admitted apart: their queries take slots one by one.
        admissions = {f"/{SEARCH}/BatchSearch": batches}
        self._public = servers.aio_server(admission, about=_PUBLIC, admissions=admissions, shared=True)
        self._admin = servers.aio_server(Admission(8), about=_OPERATORS, shared=True)
        searches = SearchServicer(self._pipeline, config, statistics, admission)
        add_SearchServiceServicer_to_server(searches, self._public)
        add_AdminServiceServicer_to_server(AdminServicer(collection, self._monitor, statistics), self._admin)
        self._probes = servers.add_probes(self._public, [SEARCH])
        self._admin_probes = servers.add_probes(self._admin, [ADMIN])
        if not topology.takeover:
            for address in (config.listen, config.admin):
                servers.check_free(address)
        self.address = servers.bind(self._public, config.listen)
        self.admin_address = servers.bind(self._admin, config.admin)
        self._watching: asyncio.Task[None] | None = None

    async def start(self, on_look: Callable[[Mapping[str, float]], None] = lambda _: None) -> None:
        """Serve, and probe the workers. Healthy once a shard and a ranker answer.

        on_look: called after every round of probes with the seconds that workers did not answer, by target.
        """
        await self._tell(False)
        await self._admin_probes.set(ADMIN, servers.SERVING)
        for server in self._servers():
            await server.start()
        self._watching = asyncio.create_task(
            self._monitor.run(self._changed, lambda: on_look(self._monitor.silent()))
        )

    async def stop(self, grace: float = serving.GRACE) -> None:
        """Drain for at most `grace` seconds, then close everything."""
        await self._probes.enter_graceful_shutdown()
        await asyncio.gather(*(server.stop(grace) for server in self._servers()))
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await self._pipeline.close()

    def _servers(self) -> Sequence[grpc.aio.Server]:
        return self._public, self._admin

    async def _changed(self, healthy: bool) -> None:
        await self._tell(healthy)
        self._on_health(healthy)

    async def _tell(self, healthy: bool) -> None:
        state = servers.SERVING if healthy else servers.NOT_SERVING
        for name in (health.OVERALL_HEALTH, SEARCH):
            await self._probes.set(name, state)
