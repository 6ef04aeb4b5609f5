"""gRPC servers and channels of our processes: options, interceptor, health, reflection, and listening."""

import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from engine import connections
from engine.access.guard import Door
from engine.access.listeners import is_loopback, refuse_open
from engine.admission import Gate
from engine.interceptors import Interceptor
from engine.ports import taken

_log = logging.getLogger("spr.servers")
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_OPTIONS = [
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
    # The queue in front of our admission control. Beyond it gRPC resets calls, with neither a status nor a
    # time to retry; its default is a thousand. So many are refused in six seconds, and few wait longer.
    ("grpc.server.max_pending_requests", 20_000),
    ("grpc.server.max_pending_requests_hard_limit", 20_000),
]
# With SO_REUSEPORT two processes could share a port, and the kernel would split the calls between them.
SERVER_OPTIONS = [("grpc.so_reuseport", 0), *_OPTIONS]
# A coordinator shares its port with its successor during a handover; `check_free` refuses all others.
SHARED_OPTIONS = [("grpc.so_reuseport", 1), *_OPTIONS]
CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 250),
    # Failover and hedging are in replicas.py; buffering requests for gRPC's own retries would only cost.
    ("grpc.enable_retries", 0),
]


def aio_server(
    admission: Gate,
    pool: Executor | None = None,
    about: str = "",
    admissions: Mapping[str, Gate] | None = None,
    shared: bool = False,
    door: Door | None = None,
) -> grpc.aio.Server:
    """Return a grpc.aio server with our interceptor and options; see `Interceptor` for the arguments.

    shared: whether a successor may listen at the same port during a handover. door: its access control.
    """
    limits = connections.PUBLIC if shared else connections.INTERNAL
    options = [*(SHARED_OPTIONS if shared else SERVER_OPTIONS), *limits.options()]
    guard = door.guard if door else None
    interceptor = Interceptor(admission, pool, about, admissions, guard)
    return grpc.aio.server(interceptors=[interceptor], options=options)


def add_probes(server: grpc.aio.Server, names: Sequence[str]) -> health.aio.HealthServicer:
    """Add health and reflection to a grpc.aio server; the caller sets the health of `names`."""
    probes = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(probes, server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return probes


def bind(
    server: grpc.Server | grpc.aio.Server, address: str, door: Door | None = None, insecure: bool = False
) -> str:
    """Listen at HOST:PORT, port 0 for a free one; return the address. Unavailable if it is taken.

    door: its access control. Without, InvalidInput for an address that other machines reach; a warning only
    if `insecure`.
    """
    if door is None and not insecure:
        refuse_open(address)
    try:
        if door is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, door.credentials())
    except RuntimeError:
        raise taken(address) from None
    host = address.rpartition(":")[0]
    if door is None and not is_loopback(host):
        _log.warning(
            "%s:%d is reachable from other machines and there is no access control; listen at 127.0.0.1, or "
            "keep it in a network you trust",
            host,
            port,
        )
    return f"{host}:{port}"
