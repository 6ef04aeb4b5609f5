"""The entrance of the public port: a search that its collection's queue would refuse is refused unread."""

from collections.abc import Sequence
from typing import Any

from engine.callers import caller_of
from engine.errors import Overloaded
from engine.process_config import CoordinatorConfig
from engine.served import ServedCollection


class Entrance:
    """The gate of searches over several collections: each of them counts its own.

    An unread call says nothing of its collection: it is refused where the queue of each would refuse it.
    """

    def __init__(self, collections: Sequence[ServedCollection], config: CoordinatorConfig) -> None:
        self._lines = [collection.queue.line for collection in collections]
        self._longest = config.max_deadline

    @property
    def busy(self) -> bool:
        """Whether every queue is in use."""
        return all(line.busy for line in self._lines)

    def refusal(self, context: Any) -> Overloaded | None:
        """Return why a search of the least cost is refused everywhere, None where it is not."""
        caller, remaining = caller_of(context), context.time_remaining()
        left = self._longest if remaining is None else min(remaining, self._longest)
        refusal = None
        for line in self._lines:
            refusal = line.refusal(caller, left)
            if refusal is None:
                return None
        self._lines[0].refused += 1
        return refusal

    def enter(self) -> None:
        """Let in: the queue counts."""

    def leave(self) -> None:
        """Let out: the queue counts."""
