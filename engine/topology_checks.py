"""What a topology must be: the processes there are, addresses, and who has which."""

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING

from engine.errors import InvalidInput
from engine.process_config import DNS

if TYPE_CHECKING:
    from engine.config import Topology


def check(topology: "Topology") -> None:
    """Raise InvalidInput with what is wrong in a topology."""
    if not topology.index:
        raise InvalidInput(f"{topology.path} has no [[index]]; every shard needs one")
    if not topology.ranker:
        raise InvalidInput(f"{topology.path} has no [[ranker]]; it encodes the queries")
    listens = [*topology.listens, *(one.metrics for one in topology.parts if one.metrics)]
    for listen in listens:
        _check_address(listen, topology.path)
        if listens.count(listen) > 1 and not listen.endswith(":0"):
            raise InvalidInput(f"{topology.path} gives {listen} to two processes; give each its own port")
    endpoint = topology.tracing.endpoint if topology.tracing else "https://"
    if not endpoint.startswith(("http://", "https://")):
        raise InvalidInput(
            f"{topology.path}: tracing.endpoint is {endpoint!r}; write the URL of a collector, "
            "http://HOST:4317 as a rule"
        )

    for worker in topology.workers:
        if worker.address:
            _check_address(worker.address.removeprefix(DNS), topology.path, "address")
    if topology.discovery.nameserver:
        _check_address(topology.discovery.nameserver, topology.path, "nameserver")
        host = topology.discovery.nameserver.rpartition(":")[0].strip("[]")
        with_number = (
            f"{topology.path}: nameserver is {topology.discovery.nameserver!r}; write its IP address"
        )
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise InvalidInput(f"{with_number}, as in 10.0.0.10:53") from None


def _check_address(listen: str, path: Path, what: str = "listen") -> None:
    host, separator, port = listen.rpartition(":")
    if not separator or not (port.isascii() and port.isdecimal()) or int(port[:6]) > 65535:
        raise InvalidInput(f"{path}: {what} is {listen!r}; write HOST:PORT")
    if what != "listen" and not (host and int(port)):
        raise InvalidInput(f"{path}: {what} is {listen!r}; write HOST:PORT")
