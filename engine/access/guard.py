"""Who may call what: the guard of a server."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from engine import callers
from engine.access import rules, tokens
from engine.errors import PermissionDenied, quoted

_BEARER = "bearer "


class Guard(Protocol):
    """What a server asks of a call."""

    def admit(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Check a call before its message is read, and bind its caller's identity.

        Unauthenticated, PermissionDenied.
        """

    def check(self, context: Any) -> None:
        """Check the connection of a call of ours; PermissionDenied."""


class CallerGuard:
    """Guards a port for callers: a token with the scope that the method needs."""

    def __init__(self, known: tokens.Tokens) -> None:
        self._tokens = known

    def admit(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Check the token of a call."""
        callers.identity.set("")
        need = rules.need_of(method)
        if need == rules.OPEN:
            return
        if need == rules.FLEET:
            raise PermissionDenied(f"{method} is for the service's own processes", "FLEET_ONLY")
        if not need:
            raise PermissionDenied(f"{quoted(method)} is no RPC that anybody may use here", "NO_RULE")
        token = self._tokens.of(_bearer(metadata))
        if need != rules.ANY_TOKEN and not need.intersection(token.scopes):
            has, wants = " and ".join(token.scopes), " or ".join(sorted(need))
            message = f"the token {token.name} allows {has}; {method.rpartition('/')[2]} needs {wants}"
            raise PermissionDenied(f"{message}; use a token that has it", "SCOPE_MISSING")
        callers.identity.set(token.name)

    def check(self, context: Any) -> None:
        """Ask nothing more: TLS has checked the certificate, where one was asked for."""


class FleetGuard:
    """Guards a worker's port: a certificate of the service's own processes."""

    def __init__(self, name: str) -> None:
        self._name = name.encode()

    def admit(self, method: str, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        """Ask for nothing yet: TLS lets in whom the authority knows, `check` knows who is of the fleet."""

    def check(self, context: Any) -> None:
        """Check that the caller's certificate is the service's own, and no caller's."""
        if self._name not in context.auth_context().get("peer_dns", ()):
            message = "this port is for the service's own processes, and the certificate is not theirs"
            raise PermissionDenied(f"{message}; ask the coordinator", "FLEET_ONLY")


@dataclass(frozen=True, slots=True)
class Door:
    """How servers let callers in. credentials: makes those of one server; gRPC shares none between two."""

    guard: Guard
    credentials: Callable[[], grpc.ServerCredentials]


def _bearer(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    for key, value in metadata:
        if key == "authorization" and isinstance(value, str) and value[: len(_BEARER)].lower() == _BEARER:
            return value[len(_BEARER) :].strip()
    raise tokens.missing()
