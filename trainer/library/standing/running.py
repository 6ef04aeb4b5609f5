"""What keeps standing searches going in the library process."""

from collections.abc import Iterable

import grpc.aio
from prometheus_client.metrics_core import Metric

from engine import metrics
from engine.config import LibraryConfig, Topology
from spr.v1.standing_service_pb2_grpc import add_StandingServiceServicer_to_server
from trainer.library.jobs import Queue
from trainer.library.standing.asking import Asking
from trainer.library.standing.hooks import Hooks
from trainer.library.standing.judging import Judging
from trainer.library.standing.posting import Hosts
from trainer.library.standing.service import SERVICE, StandingServicer
from trainer.library.standing.store import Store

PATIENCE = 2.0  # seconds for what is in hand at the end


class Standing:
    """Stores of the collections that have queues, what judges for them, and what sends their matches."""

    def __init__(self, topology: Topology, about: LibraryConfig, queues: Iterable[Queue]) -> None:
        stores = {queue.name: Store(queue.collection, queue.name) for queue in queues}
        self._stores = list(stores.values())
        hosts, may_search = Hosts.of(topology, about), topology.access is None or bool(about.token)
        self._asking = Asking(topology, about) if may_search else None
        self._hooks = Hooks(self._stores, hosts)
        self._judging = Judging(self._stores, self._asking, self._hooks.wake)
        self._servicer = StandingServicer(stores, self._judging, self._hooks, hosts)
        for name in stores:
            for counted in (metrics.STANDING_JUDGED, metrics.STANDING_MATCHES):
                metrics.bound(counted, name)
            for result in ("sent", "refused", "given_up"):
                metrics.bound(metrics.WEBHOOKS, name, result)

    def serve(self, server: grpc.aio.Server) -> str:
        """Add the service to a server; return its name."""
        add_StandingServiceServicer_to_server(self._servicer, server)
        return SERVICE

    def start(self) -> None:
        """Judge, and send, from where the last process ended."""
        self._judging.start()
        self._hooks.start()

    def stop(self) -> None:
        """End; what is in hand is done again by the next process."""
        self._judging.stop(PATIENCE)
        self._hooks.stop(PATIENCE)
        if self._asking is not None:
            self._asking.close()

    def close(self) -> None:
        """Close the files."""
        for store in self._stores:
            store.close()

    def metrics(self) -> Iterable[Metric]:
        """Return what is read of the stores."""
        return self._servicer.metrics()
