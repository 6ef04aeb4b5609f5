"""Where the workers are: the topology file, and DNS names of many addresses, followed while they change.

`address = "dns:HOST:PORT"` stands for every address that HOST has, as a headless Kubernetes service has one
for each pod. Whatever cannot be read or resolved leaves the workers that are known.
"""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Callable, Mapping
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.resolver

from engine.config import Topology
from engine.errors import InvalidInput
from engine.process_config import DNS, DiscoveryConfig
from engine.topology_file import TopologyFile

_log = logging.getLogger("spr.topology")
POLL = 1.0  # seconds between looks at the file, and between attempts to resolve a name that failed
RESOLV_CONF = "/etc/resolv.conf"
PATIENCE = 2.0  # seconds that a nameserver has to answer

Targets = Mapping[str, tuple[str, ...]]


class Discovery:
    """Follows one topology. Belongs to one event loop.

    on_change: takes the topology and the addresses of each `dns:` name that is known; InvalidInput refuses.
    """

    def __init__(self, topology: Topology, on_change: Callable[[Topology, Targets], None]) -> None:
        self._topology, self._on_change = topology, on_change
        # Without a file the topology is made of the collections, and its path is a directory.
        self._file = TopologyFile(topology.path) if topology.path.is_file() else None
        self._known: dict[str, tuple[str, ...]] = {}
        self._due: dict[str, float] = {}
        self._unresolved: dict[str, str] = {}
        self._poked = asyncio.Event()

    @property
    def faults(self) -> list[str]:
        """Why the topology is not what its file and its names say now, a sentence each."""
        file = [self._file.fault] if self._file and self._file.fault else []
        return file + [self._unresolved[name] for name in sorted(self._unresolved)]

    @property
    def mark(self) -> str:
        """What the file looked like that is in use, for the supervisor; "" before it was read again."""
        return self._file.mark if self._file else ""

    def poke(self) -> None:
        """Resolve all names soon: a worker has gone, and another may be in its place."""
        self._due = {name: min(due, time.monotonic() + POLL) for name, due in self._due.items()}

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            try:
                await self.look()
            except Exception as error:
                _log.error("following the topology failed", exc_info=error)
            await asyncio.sleep(POLL)

    async def look(self) -> None:
        """Look at the file, and resolve the names that are due."""
        read = await asyncio.to_thread(self._file.look) if self._file else None
        topology = read or self._topology
        resolved = await self._resolve(topology)
        if read is None and not resolved:
            return
        try:
            self._check(topology)
            self._on_change(topology, self._known)
        except InvalidInput as error:
            if read is None or self._file is None:
                raise
            self._file.refuse(str(error))
            return
        if read is not None and self._file is not None:
            self._topology = topology
            self._file.accept()

    def _check(self, topology: Topology) -> None:
        if topology.directories != self._topology.directories:
            raise InvalidInput(
                f"{topology.path} names other collections than are served; start the service again for them"
            )

    async def _resolve(self, topology: Topology) -> bool:
        """Resolve the names of a topology that are due; return whether an address changed."""
        names = {one.target for one in topology.workers if one.target.startswith(DNS)}
        for gone in set(self._due) - names:
            del self._due[gone]
            self._known.pop(gone, None)
            self._unresolved.pop(gone, None)
        due = sorted(name for name in names if self._due.get(name, 0.0) <= time.monotonic())
        changes = await asyncio.gather(*(self._resolve_one(name, topology.discovery) for name in due))
        return any(changes)

    async def _resolve_one(self, name: str, config: DiscoveryConfig) -> bool:
        host, _, port = name.removeprefix(DNS).rpartition(":")
        try:
            answer = await _resolver(config).resolve_name(host, lifetime=PATIENCE, search=True)
            found = tuple(sorted(_joined(str(address), port) for address in answer.addresses()))
        except (dns.exception.DNSException, OSError, ValueError) as error:
            self._due[name] = time.monotonic() + POLL
            self._note(name, f"{host} cannot be resolved ({_why(error)}); its workers of before stay in use")
            return False
        self._due[name] = time.monotonic() + max(config.interval, POLL)
        self._note(name, "")
        changed = found != self._known.get(name)
        if changed:
            _log.info("%s has the addresses %s", host, ", ".join(found))
        self._known[name] = found
        return changed

    def _note(self, name: str, fault: str) -> None:
        if fault and name not in self._unresolved:
            _log.warning("%s", fault)
        if fault:
            self._unresolved[name] = fault
        else:
            self._unresolved.pop(name, None)


def _resolver(config: DiscoveryConfig) -> dns.asyncresolver.Resolver:
    """Return a resolver of the nameserver that is set, or those of /etc/resolv.conf, with its search domains.

    It keeps no cache.
    """
    if not config.nameserver:
        return dns.asyncresolver.Resolver(RESOLV_CONF)
    host, _, port = config.nameserver.rpartition(":")
    try:
        resolver = dns.asyncresolver.Resolver(RESOLV_CONF)
    except dns.resolver.NoResolverConfiguration:
        resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = [host.strip("[]")], int(port)
    return resolver


def _joined(address: str, port: str) -> str:
    return f"[{address}]:{port}" if ipaddress.ip_address(address).version == 6 else f"{address}:{port}"


def _why(error: Any) -> str:
    if isinstance(error, dns.resolver.NXDOMAIN):
        return "there is no such name"
    if isinstance(error, dns.resolver.NoAnswer):
        return "the name has no address"
    return "no nameserver answers"
