"""A topology: its shards, ports, addresses, certificates."""

import errno
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from engine import versions
from engine.config import Topology
from engine.errors import SprError
from engine.files import read_toml
from engine.process_config import DNS
from spr_cli.findings import Finding, Findings

if TYPE_CHECKING:
    import grpc

PATIENCE = 1.0  # seconds of a connection
Caller: TypeAlias = "Callable[[str], grpc.Channel]"


def findings(topology: Topology) -> Findings:
    """Yield what is found."""
    from spr_cli import doctor_certificates

    yield from _shards(topology)
    listens, targets = _addresses(topology)
    port = partial(_port, called=_caller(topology))
    with ThreadPoolExecutor(16) as pool:
        yield from _told("ports", pool.map(port, listens), f"{len(listens)} ports are free or ours")
        away = f"{len(targets)} addresses of other machines answer" if targets else ""
        yield from _told("addresses", pool.map(_reached, targets), away)
    yield from doctor_certificates.findings(read_toml(topology.path).get("access", {}), topology.path.parent)


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


def _addresses(topology: Topology) -> tuple[list[str], list[str]]:
    """Return where processes of this machine listen, and where those of others are reached."""
    parts: list[Any] = [topology.coordinator, *topology.workers]
    parts += [topology.library] if topology.library else []
    listens, targets = [topology.coordinator.admin], []
    for part in parts:
        given = getattr(part, "address", "")
        (targets.append(given) if given else listens.append(part.listen))
    return listens, targets


def _told(about: str, problems: Iterable[Finding | None], well: str) -> Findings:
    found = [problem for problem in problems if problem is not None]
    yield from found
    if not found and well:
        yield Finding("ok", about, well)


def _port(listen: str, called: Caller) -> Finding | None:
    """Say what is wrong with a port that a process of this machine would listen at."""
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
        if error.errno == errno.EADDRINUSE and not _is_ours(listen, called):
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

    from engine.config import reachable

    with called(reachable(listen)) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        try:
            stub.Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE)
        except grpc.RpcError as error:
            return bool(error.code() is grpc.StatusCode.NOT_FOUND)
    return True


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
