"""What a topology must be: the processes there are, addresses, and who has which."""

import ipaddress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.access.listeners import is_loopback
from engine.errors import InvalidInput
from engine.process_config import DNS

if TYPE_CHECKING:
    from engine.config import Topology


def check(topology: "Topology") -> None:
    """Raise InvalidInput with what is wrong in a topology."""
    if not topology.index:
        raise InvalidInput(f"{topology.path} has no [[index]]; every shard needs one")
    if not topology.ranker:
        raise InvalidInput(f"{topology.path} has no [[ranker]]; it ranks what is found")
    _check_shards(topology)
    parts = [*topology.parts, *([topology.page] if topology.page else [])]
    ports = [(one.admin, one) for one in topology.coordinators] + [(one.listen, one) for one in parts]
    more = [each for one in topology.coordinators for each in one.each[1:]]
    ports += [(one.metrics, one) for one in (*parts, *more) if one.metrics]
    places = [(_host(one), listen) for listen, one in ports]
    for place, (listen, _) in zip(places, ports, strict=True):
        _check_address(listen, topology.path)
        if places.count(place) > 1 and not listen.endswith(":0"):
            raise InvalidInput(f"{topology.path} gives {listen} to two processes; give each its own port")
    if topology.library and topology.urls:
        raise InvalidInput(
            f"{topology.path}: a service adds nothing to {next(iter(topology.urls.values()))}; remove "
            "[library], change the collection where it was made, and copy it there with `spr snapshot`"
        )
    _check_page(topology)
    _check_tracing(topology)
    _check_discovery(topology)


def _check_shards(topology: "Topology") -> None:
    """Refuse rankers of whose shards one is missing, or is none of the index workers'."""
    named = {shard for one in topology.ranker for shard in one.shards}
    there = {one.shard for one in topology.index}
    if unknown := sorted(named - there):
        raise InvalidInput(f"{topology.path}: a [[ranker]] names shard {unknown[0]}, which no [[index]] has")
    if all(one.shards for one in topology.ranker) and (missing := sorted(there - named)):
        raise InvalidInput(
            f"{topology.path}: no [[ranker]] holds shard {missing[0]}; write it into the shards of one, or "
            "leave `shards` out of one that is to hold all"
        )


def _host(part: Any) -> str:
    """Return where a process runs, as far as its `address` tells: two at one address are on one machine."""
    return str(getattr(part, "address", "")).rpartition(":")[0]


def _check_page(topology: "Topology") -> None:
    """Refuse a page that other machines reach, as nothing asks who they are, and one that may not search."""
    page = topology.page
    if page and not page.insecure and not is_loopback(page.listen.rpartition(":")[0]):
        raise InvalidInput(
            f"{topology.path}: other machines would reach the page at {page.listen}, and nothing asks who "
            "they are; listen at 127.0.0.1 behind a proxy that does, or write insecure = true under [page]"
        )
    if page and topology.access and not page.token:
        raise InvalidInput(
            f"{topology.path}: with [access] the page needs a token to search; make one with `spr access "
            "token page --scope search`, and write its file as token under [page] of a topology"
        )


def _check_tracing(topology: "Topology") -> None:
    endpoint = topology.tracing.endpoint if topology.tracing else "https://"
    if not endpoint.startswith(("http://", "https://")):
        raise InvalidInput(
            f"{topology.path}: tracing.endpoint is {endpoint!r}; write the URL of a collector, "
            "http://HOST:4317 as a rule"
        )


def _check_discovery(topology: "Topology") -> None:
    for one in topology.parts:
        for address in (one.address, getattr(one, "admin_address", "")):
            if address:
                _check_address(address.removeprefix(DNS), topology.path, "address")
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
