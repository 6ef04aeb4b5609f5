"""A topology: its shards, ports, addresses, certificates."""

import errno
import http.client
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from engine import versions
from engine.config import CoordinatorConfig, Topology, reachable
from engine.errors import SprError
from engine.process_config import DNS
from spr_cli.findings import Finding, Findings

if TYPE_CHECKING:
    import grpc

PATIENCE = 1.0  # seconds of a connection
Caller: TypeAlias = "Callable[[str], grpc.Channel]"


def findings(topology: Topology) -> Findings:
    """Yield what is found."""
    from spr_cli import doctor_access

    yield from _shards(topology)
    listens, pages, targets = _addresses(topology)
    called = _caller(topology)
    with ThreadPoolExecutor(16) as pool:
        ports = [
            *pool.map(partial(_port, is_ours=partial(_is_ours, called=called)), listens),
            *pool.map(partial(_port, is_ours=_is_page_or_metrics), pages),
        ]
        yield from _told("ports", ports, f"{len(ports)} ports are free or ours")
        away = f"{len(targets)} addresses of other machines answer" if targets else ""
        yield from _told("addresses", pool.map(_reached, targets), away)
    yield from doctor_access.findings(topology)


def _shards(topology: Topology) -> Findings:
    workers = {worker.name for worker in topology.index}
    for directory in topology.directories:
        try:
            wanted = {shard.name for shard in versions.read(directory).shards}
        except SprError:
            continue  # told of the collection
        if lacking := sorted(wanted - workers):
            said = f"{topology.path} names no worker of {', '.join(lacking)} of {directory}"
            yield Finding("error", "shards", f"{said}: write an [[index]] for each")


def _addresses(topology: Topology) -> tuple[list[str], list[str], list[str]]:
    """Return where processes of this machine listen, for gRPC and for HTTP, and where others are reached."""
    parts: list[Any] = [*topology.parts, *(one for front in topology.coordinators for one in front.each[1:])]
    here = [part for part in parts if not part.address]
    listens = [part.listen for part in here]
    listens += [part.admin for part in here if isinstance(part, CoordinatorConfig)]
    pages = [topology.page] if topology.page else []
    web = [one.listen for one in pages] + [one.metrics for one in (*here, *pages) if one.metrics]
    targets = [part.address for part in parts if part.address]
    return list(dict.fromkeys(listens)), web, list(dict.fromkeys(targets))


def _told(about: str, problems: Iterable[Finding | None], well: str) -> Findings:
    found = [problem for problem in problems if problem is not None]
    yield from found
    if not found and well:
        yield Finding("ok", about, well)


def _port(listen: str, is_ours: Callable[[str], bool]) -> Finding | None:
    """Say what is wrong with a port that a process of this machine would listen at.

    is_ours: whether what listens there is a process of a service.
    """
    host, _, port = listen.rpartition(":")
    try:
        family, kind, number, _, at = socket.getaddrinfo(
            host.strip("[]") or None, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, number) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(at)
    except socket.gaierror:
        return Finding("error", "ports", f"{listen} is not to be found: write the address of this machine")
    except OSError as error:
        if error.errno == errno.EADDRINUSE and not is_ours(listen):
            said = f"another program listens at {listen}"
            return Finding("error", "ports", f"{said}: stop it, or change the port in the topology")
        if error.errno == errno.EACCES:
            return Finding("error", "ports", f"this user may not listen at {listen}: take one above 1023")
    return None


def _caller(topology: Topology) -> Caller:
    """Return what opens a channel to a process of the topology, as its processes do to each other."""
    import grpc

    from engine.access import certificates

    if topology.access is None:
        return grpc.insecure_channel
    try:
        shown = certificates.kept(topology.access).value.channel_credentials()
    except SprError:
        return grpc.insecure_channel  # told of the certificates
    options = [("grpc.ssl_target_name_override", topology.access.name)]
    return lambda target: grpc.secure_channel(target, shown, options)


def _is_ours(listen: str, called: Caller) -> bool:
    """Whether what listens there is a process of a service: it tells its health over gRPC."""
    import grpc
    from grpc_health.v1 import health_pb2, health_pb2_grpc

    with called(reachable(listen)) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        except grpc.RpcError as error:
            return bool(error.code() is grpc.StatusCode.NOT_FOUND)
    return True


def _is_page_or_metrics(listen: str) -> bool:
    """Whether what listens there is the page, or the metrics of a process of a service."""
    connection = http.client.HTTPConnection(reachable(listen), timeout=PATIENCE)
    try:
        connection.request("GET", "/livez")
        # The page has no such file, and its own headers all the same.
        answer = connection.getresponse()
        return answer.read(99) == b"alive\n" or "cross-origin-opener-policy" in answer.headers
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _reached(target: str) -> Finding | None:
    """Say what is wrong with an address at which a process is reached."""
    host, _, port = target.rpartition(":")
    host = host.removeprefix(DNS).strip("[]")
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except socket.gaierror:
        return Finding("error", "addresses", f"no machine is called {host} ({target}): correct the topology")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        said = f"nobody answers at {target} ({why})"
        return Finding("warning", "addresses", f"{said}: start the process there, or correct the topology")
    return None
