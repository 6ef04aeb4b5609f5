"""Servers of all three kinds of processes: errors, health, reflection, logs, graceful stop.

A worker's __main__ is

    sys.exit(serving.main("index", serve))

where `serve(topology, worker)` loads what it needs and ends in `serve_worker(...)`. The process prints one
line of JSON on stdout: {"ready": true, "role": "index", "address": "127.0.0.1:7410"} once it serves, or
{"ready": false, "role": "index", "error": "why", "exit_code": 3} if it cannot. The coordinator adds a line
{"healthy": true} whenever searches begin to be answerable, and {"healthy": false} when they cease; under a
supervisor also {"beat": true, "silent": {"127.0.0.1:7410": 3.1}} every second, the workers that do not answer
and for how long, and {"leaving": true} when it was told to stop and a successor may start.
"""

import argparse
import asyncio
import contextlib
import errno
import gc
import ipaddress
import json
import logging
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from engine import config, connections, lifeline, logs
from engine.errors import SprError, Unavailable
from engine.files import of_disk
from engine.gate import Gate
from engine.holding import held
from engine.interceptors import Interceptor

_log = logging.getLogger("spr.serving")
GRACE = 5.0
ABOUT_WORKERS = "it is a worker's, for the coordinator alone; ask the coordinator, at port 7400 by default"
HANDOVER = 20.0  # seconds that a coordinator waits for its successor
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING

_OPTIONS = [
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
    ("grpc.http2.max_ping_strikes", 0),
    # Calls that wait in gRPC for our turn to refuse them. Beyond its own limit of a thousand it resets calls,
    # and who called learns neither why nor when to come back.
    ("grpc.server.max_pending_requests", 100_000),
    ("grpc.server.max_pending_requests_hard_limit", 100_000),
]
# Without so_reuseport = 0 two processes could share a port and each get a part of the calls.
SERVER_OPTIONS = [("grpc.so_reuseport", 0), *_OPTIONS]
# A coordinator's port is shared with its successor for a moment; `check_free` refuses all others.
SHARED_OPTIONS = [("grpc.so_reuseport", 1), *_OPTIONS]
CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
    # Whom else to ask, and when, is decided in replicas.py; keeping every request for a retry only costs.
    ("grpc.enable_retries", 0),
]


def main(role: str, serve: Callable[[config.Topology, Any], None], argv: Sequence[str] | None = None) -> int:
    """Read the command line, run `serve` with the topology and this worker's part, return the exit code.

    role: "coordinator", "index" or "ranker".
    """
    options = _options(role, argv)
    try:
        given = options.config == lifeline.STDIN
        topology = lifeline.receive() if given else config.read(Path(options.config))
        logs.configure(topology.log_level)
        connections.raise_file_limit()
        with held(topology) as pinned:
            serve(pinned, select_part(pinned, role, options.name, options.listen))
    except (SprError, OSError) as error:
        refused = of_disk(error) if isinstance(error, OSError) else error
        if refused is None:
            raise
        announce(ready=False, role=role, error=str(refused), exit_code=refused.exit_code)
        if not lifeline.supervised:
            print(f"spr: {refused}", file=sys.stderr)
        return refused.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


def serve_worker(
    add_services: Callable[[grpc.aio.Server], Sequence[str]],
    address: str,
    *,
    role: str,
    max_in_flight: int,
    about: str = "",
    ready: Mapping[str, Any] | None = None,
    watch: Callable[[Callable[[str], None]], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then finish what is in flight and return.

    add_services registers the servicers, whose methods run in threads, and returns their full names. At most
    `max_in_flight` calls run at once, more are refused with QUEUE_FULL. about: what the port is, for who asks
    for something else. `ready` adds fields to the line on stdout. `watch` starts what may find a service
    unfit, and is given what to call then, from any thread, with its name: its health is NOT_SERVING.
    """

    async def serve() -> None:
        server = aio_server(Gate(max_in_flight), pool, about)
        names = list(add_services(server))
        probes = add_probes(server, names)
        bound = bind(server, address)
        for name in (health.OVERALL_HEALTH, *names):
            await probes.set(name, SERVING)
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await server.start()
        if watch is not None:

            def unfit(name: str) -> None:
                asyncio.run_coroutine_threadsafe(probes.set(name, NOT_SERVING), loop)

            watch(unfit)
        keep_loaded()
        announce(ready=True, role=role, address=bound, **(ready or {}))
        await stop.wait()
        await probes.enter_graceful_shutdown()
        await server.stop(GRACE)

    # A thread a place. Calls that wait for their message, refusals and health checks need none.
    pool = ThreadPoolExecutor(max(1, max_in_flight), thread_name_prefix="work")
    uvloop.run(serve())
    pool.shutdown(wait=False)


def aio_server(
    gate: Gate,
    pool: Executor | None = None,
    about: str = "",
    gates: Mapping[str, Gate] | None = None,
    shared: bool = False,
) -> grpc.aio.Server:
    """Return a grpc.aio server with our interceptor and options; see `Interceptor` for the arguments.

    shared: on a port that a successor can share.
    """
    limits = connections.PUBLIC if shared else connections.INTERNAL
    options = [*(SHARED_OPTIONS if shared else SERVER_OPTIONS), *limits.options()]
    return grpc.aio.server(interceptors=[Interceptor(gate, pool, about, gates)], options=options)


def add_probes(server: grpc.aio.Server, names: Sequence[str]) -> health.aio.HealthServicer:
    """Add health and reflection to a grpc.aio server; the caller sets the health of `names`."""
    probes = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(probes, server)
    reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], server)
    return probes


async def told_to_stop() -> Callable[[], Awaitable[None]]:
    """Heed SIGTERM and SIGINT from now on; return what waits until it is time to stop.

    After SIGTERM a supervisor is told, so that it starts a successor; it closes stdin (SIGINT) once that one
    serves. Without a supervisor both stop at once.
    """
    leave, stop = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop_now() -> None:
        leave.set()
        stop.set()

    loop.add_signal_handler(signal.SIGTERM, leave.set)
    loop.add_signal_handler(signal.SIGINT, stop_now)

    async def wait() -> None:
        await leave.wait()
        if lifeline.supervised and not stop.is_set():
            announce(leaving=True)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), HANDOVER)

    return wait


def bind(server: grpc.Server | grpc.aio.Server, address: str) -> str:
    """Listen at HOST:PORT, port 0 for a free one; return the address. Unavailable if it is taken.

    Warns where other machines may reach it.
    """
    try:
        port = server.add_insecure_port(address)
    except RuntimeError:
        raise _taken(address) from None
    host = address.rpartition(":")[0]
    if not is_loopback(host):
        _log.warning(
            "%s:%d can be reached from other machines, and there is no access control yet: whoever reaches "
            "it may use it; listen at 127.0.0.1, or keep it in a network you trust",
            host,
            port,
        )
    return f"{host}:{port}"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens at a host: a name, or an IPv4 or [IPv6] address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.startswith("unix")


def check_free(address: str) -> None:
    """Raise Unavailable if another process listens at HOST:PORT, also one whose port can be shared."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(socket.gaierror):  # said better by `bind`
        for family, kind, number, _, at in socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        ):
            with socket.socket(family, kind, number) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind(at)
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        raise _taken(address) from None


def _taken(address: str) -> Unavailable:
    return Unavailable(
        f"cannot listen on {address}; is another process there? Stop it, or change the port", "ADDRESS_IN_USE"
    )


def keep_loaded() -> None:
    """Take what was loaded until now out of the garbage collector's rounds: it stays until the end."""
    gc.collect()
    gc.freeze()


def announce(**fields: Any) -> None:
    """Print one line of JSON for whoever started this process."""
    print(json.dumps(fields), flush=True)


def beat(silent: Mapping[str, float]) -> None:
    """Tell the supervisor that this coordinator lives, and who is silent: target to seconds."""
    announce(beat=True, silent=silent)


def _options(role: str, argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=f"Run one {role} process of a topology.")
    parser.add_argument("--config", required=True, help="topology file; - for one line of JSON on stdin")
    parser.add_argument("--name", help="which one, e.g. shard-00000")
    parser.add_argument("--listen", help="which one, by its address; or another address for it")
    return parser.parse_args(argv)


def select_part(topology: config.Topology, role: str, name: str | None, listen: str | None) -> Any:
    """Return the part of a topology that a role, a name and an address name; InvalidInput if not one."""
    if role == "index":
        return config.select(topology.index, name, listen)
    if role == "ranker":
        return config.select(topology.ranker, name, listen)
    return config.select([topology.coordinator], name, listen)
