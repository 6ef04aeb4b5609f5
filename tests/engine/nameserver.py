"""A nameserver on this machine, whose names a test sets."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dnslib import QTYPE, RCODE, RR, A
from dnslib.server import BaseResolver, DNSServer


class Zone(BaseResolver):  # type: ignore[misc]
    """names: the addresses of each. broken: it answers SERVFAIL to everything."""

    def __init__(self) -> None:
        self.names: dict[str, list[str]] = {}
        self.broken = False
        self.address = ""

    def resolve(self, request: Any, handler: Any) -> Any:
        reply, name = request.reply(), str(request.q.qname).rstrip(".")
        if self.broken:
            reply.header.rcode = RCODE.SERVFAIL
        elif name not in self.names:
            reply.header.rcode = RCODE.NXDOMAIN
        elif request.q.qtype == QTYPE.A:
            for address in self.names[name]:
                reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=300))
        return reply


@contextmanager
def nameserver() -> Iterator[Zone]:
    zone = Zone()
    server = DNSServer(zone, port=0, address="127.0.0.1", logger=_Silent())
    server.start_thread()
    zone.address = f"127.0.0.1:{server.server.server_address[1]}"
    try:
        yield zone
    finally:
        server.stop()
        server.server.server_close()


class _Silent:
    def __getattr__(self, name: str) -> Any:
        return lambda *_: None
