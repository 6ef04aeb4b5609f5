"""Limits of a server's connections: how long idle and silent ones stay, and how many files may be open.

A client whose connection is closed while it is idle (GOAWAY) opens another with its next call, unnoticed.
"""

import logging
import resource
from dataclasses import dataclass

_log = logging.getLogger("spr.serving")
# Descriptors that a process may open; the usual soft limit, 1,024, is one for programs that call select().
MOST_FILES = 65_536


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds. handshake: until a new connection speaks HTTP/2. idle: without any call.

    age: of a connection, whatever it does; its calls then have `grace` to end. 0: no limit of age.
    calls: open at once on one connection; a client keeps further ones until there is room.
    """

    handshake: float = 10.0
    idle: float = 300.0
    age: float = 0.0
    grace: float = 60.0
    calls: int = 4000

    def options(self) -> list[tuple[str, int]]:
        """Return them as options of a gRPC server."""
        options = [
            ("grpc.server_handshake_timeout_ms", round(1000 * self.handshake)),
            ("grpc.max_connection_idle_ms", round(1000 * self.idle)),
            ("grpc.max_concurrent_streams", self.calls),
        ]
        if self.age:
            options.append(("grpc.max_connection_age_ms", round(1000 * self.age)))
            options.append(("grpc.max_connection_age_grace_ms", round(1000 * self.grace)))
        return options


# A coordinator's callers are strangers: a call that is opened and never sent ends with its connection. Its
# own connections to workers are in use every second.
PUBLIC, INTERNAL = Limits(age=1800.0), Limits()


def raise_file_limit() -> None:
    """Let this process open as many files as it may, MOST_FILES at the most: each connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_FILES)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:  # macOS allows less than it says
        _log.info("the limit of open files stays at %d: %s", soft, error)
