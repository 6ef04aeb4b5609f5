"""Ports: whether one is free, also from processes that would share it, and the next ones."""

import contextlib
import errno
import socket

from engine.errors import Unavailable


def check_free(address: str) -> None:
    """Raise Unavailable if another process listens at HOST:PORT, also one whose port can be shared."""
    host, _, port = address.rpartition(":")
    with contextlib.suppress(socket.gaierror):  # said better by `bind`
        for family, kind, number, _, at in socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM
        ):
            with socket.socket(family, kind, number) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    trial.bind(at)
                except OSError as error:
                    if error.errno == errno.EADDRINUSE:
                        raise taken(address) from None


def taken(address: str) -> Unavailable:
    """Return the error of an address that another process listens at."""
    return Unavailable(
        f"cannot listen on {address}; is another process there? Stop it, or change the port", "ADDRESS_IN_USE"
    )


def above(address: str, by: int) -> str:
    """Return HOST:PORT with a higher port; as it is without one, and for a free one."""
    host, _, port = address.rpartition(":")
    usual = port.isdecimal() and len(port) < 6 and int(port)
    return f"{host}:{int(port) + by}" if usual else address
