"""How a client's own channel behaves, and where it may lead."""

import json

from spr_client.errors import InvalidInput

ADDRESS = "127.0.0.1:7400"
# A coordinator that stops or dies ends calls with these, of which its successor knows nothing: they are
# asked again. A coordinator's own refusals forbid that (grpc-retry-pushback-ms), so they are told at once.
_RETRY = {
    "maxAttempts": 4,
    "initialBackoff": "0.05s",
    "maxBackoff": "1s",
    "backoffMultiplier": 3,
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}
OPTIONS = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The default back-off grows to two minutes: a restarted service would seem dead for as long.
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.service_config", json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": _RETRY}]})),
]


def checked(address: str) -> str:
    """Return an address; InvalidInput unless it is HOST:PORT or a socket's, `unix:PATH`."""
    if isinstance(address, str) and address.startswith("unix:"):
        return address
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    # gRPC would take another port for one that is missing or too large.
    if not host or not (port.isascii() and port.isdecimal()) or not 1 <= int(port[:6]) <= 65535:
        message = f"the address is {str(address)[:80]!r}; write HOST:PORT, the port from 1 to 65535"
        raise InvalidInput(f"{message}, as in {ADDRESS}", "BAD_PARAMETER")
    return address
