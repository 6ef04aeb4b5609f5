"""What every answer is wrapped in: headers that keep a browser from doing more than the page needs."""

from collections.abc import Sequence

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ONLY_OURS = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", _ONLY_OURS.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=()"),
]
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


class Guard:
    """Adds the headers, and refuses hosts that are not this one.

    hosts: what the page may be called. A name of an attacker's that leads to this machine (DNS rebinding)
    is none of them.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        # At an address of all interfaces it may be called anything.
        self._hosts = None if {"0.0.0.0", "[::]", ""} & set(hosts) else {*hosts, *_LOCAL}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS]
            await send(message)

        named = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        host = named.rpartition(":")[0] if named.rpartition(":")[2].isdigit() else named
        if self._hosts is not None and host not in self._hosts:
            refused = PlainTextResponse(f"this page is not called {host[:80]!r}\n", 421)
            await refused(scope, receive, guarded)
            return
        await self._app(scope, receive, guarded)
