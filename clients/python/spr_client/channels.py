"""How a client's own channel behaves, and where it may lead."""

import json
import random
import socket
from collections.abc import Sequence

from spr_client.errors import CONNECT_AGAIN, InvalidInput, Unavailable

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
_COMMON = [
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # The default back-off grows to two minutes: a restarted service would seem dead for as long.
    ("grpc.max_reconnect_backoff_ms", 1_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
]


def _config(shuffled: bool) -> tuple[str, str]:
    about = {
        "methodConfig": [{"name": [{}], "retryPolicy": _RETRY}],
        # One coordinator at a time, each client another: it has the ranked lists of its page tokens.
        "loadBalancingConfig": [{"pick_first": {"shuffleAddressList": shuffled}}],
    }
    return "grpc.service_config", json.dumps(about)


OPTIONS = [*_COMMON, _config(True)]
ORDERED = [*_COMMON, _config(False)]
"""Of a channel to one of `ways`: it asks its coordinator, and the next one only where that is gone."""


def checked(address: str | Sequence[str]) -> str:
    """Return one address, or several with commas between; InvalidInput unless each is HOST:PORT.

    A socket's address, `unix:PATH`, stands alone.
    """
    if isinstance(address, str):
        several = address.split(",") if not address.startswith("unix:") else [address]
    else:
        several = list(address) if isinstance(address, Sequence) else [address]
    if len(several) == 1:
        return _one(several[0])
    if not several:
        raise InvalidInput(f"there is no address; write HOST:PORT, as in {ADDRESS}", "BAD_PARAMETER")
    return ",".join(_one(one.strip() if isinstance(one, str) else one, alone=False) for one in several)


def target(address: str) -> str:
    """Return where gRPC should connect to reach `checked` addresses; Unavailable if none can be resolved.

    gRPC takes one name, or several numbers of one family: several names are resolved here, to the family that
    more of them have.
    """
    several = address.split(",")
    if len(several) == 1 or address.startswith("unix:"):
        return address
    found = {
        scheme: [numbers for one in several if (numbers := _numbers(one, family))]
        for scheme, family in (("ipv4", socket.AF_INET), ("ipv6", socket.AF_INET6))
    }
    scheme = max(found, key=lambda one: len(found[one]))
    if not found[scheme]:
        message = f"nothing answers at {address} (no name of it can be resolved)"
        raise Unavailable(message, "UNAVAILABLE", retry_after=CONNECT_AGAIN)
    return f"{scheme}:{','.join(dict.fromkeys(number for numbers in found[scheme] for number in numbers))}"


def ways(address: str) -> list[str]:
    """Return as `target` where each of the coordinators is asked before the others, in any order."""
    led = target(address)
    scheme, _, told = led.partition(":")
    numbers = told.split(",")
    if scheme not in ("ipv4", "ipv6") or len(numbers) == 1:
        return [led]
    random.shuffle(numbers)
    return [f"{scheme}:{','.join(numbers[i:] + numbers[:i])}" for i in range(len(numbers))]


def _numbers(address: str, family: int) -> list[str]:
    """Return the addresses of a host as numbers with its port, none if it has none of this family."""
    host, _, port = address.rpartition(":")
    try:
        found = socket.getaddrinfo(host.strip("[]"), int(port), family, socket.SOCK_STREAM)
    except OSError:
        return []
    hosts = [str(at[4][0]) for at in found]
    return [f"[{one}]:{port}" if ":" in one else f"{one}:{port}" for one in hosts]


def _one(address: str, alone: bool = True) -> str:
    if alone and isinstance(address, str) and address.startswith("unix:"):
        return address
    host, _, port = address.rpartition(":") if isinstance(address, str) else ("", "", "")
    # gRPC would take another port for one that is missing or too large.
    if (
        not host.isprintable()
        or not host
        or "/" in host
        or not (port.isascii() and port.isdecimal())
        or not 1 <= int(port[:6]) <= 65535
    ):
        message = f"the address is {str(address)[:80]!r}; write HOST:PORT, the port from 1 to 65535"
        raise InvalidInput(f"{message}, as in {ADDRESS}", "BAD_PARAMETER")
    return address
