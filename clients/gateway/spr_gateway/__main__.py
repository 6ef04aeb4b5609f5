"""The page's process: `python -m spr_gateway --config topology.toml`."""

import asyncio
import contextlib
import errno
import signal
import socket
import sys
from collections.abc import Iterator

import uvicorn
import uvloop

from engine import exporter, metrics, part_texts, serving
from engine.config import PageConfig, Topology
from engine.errors import InvalidInput, Unavailable
from engine.mirrored import sources_of
from engine.sources import Wants
from spr_client import SearchError, Tls
from spr_gateway.app import Gateway
from spr_gateway.judging import Judging
from spr_gateway.patience import Patient
from spr_gateway.shelf import Shelf
from spr_gateway.upstream import Upstream

BACKLOG = 128
CONNECTIONS = 200  # open at once; more are refused with 503
SERVICE = "page"  # what /healthz and metrics call it
GRACE = 3  # seconds to finish answers at the end


def serve(topology: Topology, page: PageConfig) -> None:
    """Serve the page until told to stop."""
    for source in sources_of(topology, Wants((part_texts.FILE,))).values():
        source.watch()
    uvloop.run(_serve(topology, page))


async def _serve(topology: Topology, page: PageConfig) -> None:
    roots = [topology.path.parent / root for root in page.roots]
    upstream, judging = _upstream(topology, page)
    gateway = Gateway(Shelf(topology.directories, roots), upstream, judging, page.cache_mb << 20)
    listening = _listen(page.listen)
    host = page.listen.rpartition(":")[0]
    address = f"http://{host}:{listening.getsockname()[1]}/"
    settings = uvicorn.Config(
        gateway.app([host]),
        http=Patient,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE,
    )
    try:
        await _Server(settings, address).serve([listening])
    finally:
        await gateway.close()


def _upstream(topology: Topology, page: PageConfig) -> tuple[Upstream, Judging]:
    addresses = [one.front for one in topology.coordinators]
    admin, access = topology.coordinator.back, topology.access
    if access is None:
        return Upstream(addresses, admin), Judging(addresses)
    tls = Tls(access.authority, access.certificate, access.key)
    token = topology.path.parent / page.token
    try:
        return Upstream(addresses, admin, tls, token), Judging(addresses, tls, token)
    except SearchError as error:
        remedy = "write the file of a token that may search as token under [page]"
        raise InvalidInput(f"{error}; {remedy}") from None


class _Server(uvicorn.Server):
    """Tells the supervisor when it serves; stops at the signals that end our other processes."""

    def __init__(self, settings: uvicorn.Config, address: str) -> None:
        super().__init__(settings)
        self._address = address

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        exporter.follow(loop)
        # It speaks no gRPC, whose health others tell here: what it serves is the page.
        metrics.bound(metrics.SERVING, SERVICE).set(1)
        serving.keep_loaded()
        serving.announce(ready=True, role="page", address=self._address)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the loop's own handlers."""
        yield

    def _stop(self) -> None:
        metrics.bound(metrics.SERVING, SERVICE).set(0)
        self.should_exit = True


def _listen(address: str) -> socket.socket:
    """Return a listening socket; Unavailable says why there is none."""
    host, _, port = address.rpartition(":")
    try:
        family, kind, number, _, at = socket.getaddrinfo(
            host.strip("[]") or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, number)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(at)
        listening.listen(BACKLOG)
    except OSError as error:
        taken = "; is another process there?" if error.errno == errno.EADDRINUSE else ""
        message = f"the page cannot listen on {address} ({error.strerror}){taken} Choose another with --page"
        raise Unavailable(message, "ADDRESS_IN_USE") from None
    return listening


if __name__ == "__main__":
    sys.exit(serving.main("page", serve))
