"""Whether a worker takes new searches, and how many it works on."""

import threading
from collections.abc import Callable

from engine.errors import Unavailable
from engine.protocol import DRAINING, PROTOCOL
from spr.internal.v1.version_service_pb2 import WorkerReport


class Duty:
    """Counts the calls in flight, and refuses new ones while the worker drains. Thread-safe.

    Each call is made inside `with duty:`.
    """

    def __init__(self, waiting: Callable[[int], int] = lambda in_flight: 0) -> None:
        """Take calls. waiting: how many of so many calls in flight wait."""
        self._waiting = waiting
        self._lock = threading.Lock()
        self._draining, self._in_flight = False, 0

    def __enter__(self) -> None:
        """Begin a call; Unavailable DRAINING while the worker drains."""
        with self._lock:
            if self._draining:
                message = "this worker drains: `spr admin drain --undo` or its restart ends that"
                raise Unavailable(message, DRAINING)
            self._in_flight += 1

    def __exit__(self, *_: object) -> None:
        """End a call."""
        with self._lock:
            self._in_flight -= 1

    def drain(self, draining: bool) -> None:
        """Take no new calls from now on, or take them again."""
        with self._lock:
            self._draining = draining

    def report(self) -> WorkerReport:
        """Return how the worker does."""
        in_flight = self._in_flight
        return WorkerReport(
            protocol=PROTOCOL,
            draining=self._draining,
            calls_in_flight=in_flight,
            calls_waiting=min(in_flight, self._waiting(in_flight)),
        )
