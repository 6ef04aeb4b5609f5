"""HTTP connections that do not keep a place: a request has to be sent within a time."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

PATIENCE = 20.0  # seconds from a request's first byte, or the connection's begin, to its last
BY_THEN = 64 << 10  # bytes; a request that brought as many meanwhile is waited for as long again


class Patient(H11Protocol):
    """Closes a connection whose request is late, which uvicorn waits for without an end.

    came: bytes since it began to wait.
    """

    came = 0
    _late: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """Whether a request has to come."""
        return self._late is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._await()

    def data_received(self, data: bytes) -> None:
        """Take what was sent, and wait for the rest of it."""
        super().data_received(data)
        self.came += len(data)
        self._await()

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._forget()
        super().connection_lost(exc)

    def lose(self) -> None:
        """Close the connection, if little has come since it began to wait; else wait again."""
        self._forget()
        if self.came < BY_THEN:
            self.transport.close()
        else:
            self._await()

    def _await(self) -> None:
        cycle: Any = self.cycle
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            self._forget()
        elif self._late is None:
            self.came, self._late = 0, self.loop.call_later(PATIENCE, self.lose)

    def _forget(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
