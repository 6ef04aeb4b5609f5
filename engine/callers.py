"""Who calls: the name that fair shares, budgets and logs know a caller by."""

import contextvars
from typing import Any

# The name that a caller has proved to have; empty where nobody asks for proof.
identity: contextvars.ContextVar[str] = contextvars.ContextVar("identity", default="")


def caller_of(context: Any) -> str:
    """Return the caller's proved name, else its address without the port, of a server's call."""
    return identity.get() or address_of(str(context.peer()))


def address_of(peer: str) -> str:
    """Return gRPC's name of a peer ("ipv4:10.0.0.1:5000") without the port; a socket's as it is."""
    kind, _, place = peer.partition(":")
    return place.rpartition(":")[0] if kind in ("ipv4", "ipv6") else peer
