"""Who called: the name of the caller's token, or its address."""

from contextvars import ContextVar
from typing import Any

# Set for each call of a server with access control; empty without.
identity: ContextVar[str] = ContextVar("identity", default="")


def caller_of(context: Any) -> str:
    """Return the name of a caller's token, or else its address without the port. context: of a gRPC call."""
    return identity.get() or str(context.peer()).rpartition(":")[0]
