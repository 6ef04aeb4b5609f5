"""One worker process as a coordinator sees it."""

import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import grpc.aio

from engine.access.channels import Connect, plain
from engine.recent import Recent
from engine.replica_health import Health, ReplicaHealth
from engine.servers import CHANNEL_OPTIONS

Stub = TypeVar("Stub")


class Place(NamedTuple):
    """Where a worker is, and which shards' contexts it has, by name; None: all there are."""

    zone: str = ""
    shards: frozenset[str] | None = None


class Replica(Generic[Stub]):
    """One worker process: its address, a stub on a channel of its own, its health, and what it holds.

    held: ids of the versions that it answers from, as far as is known. tried: when it was asked last while it
    was an outlier. barred: why no search is asked of it, "" where it may be. calls: those that have ended.
    leaving: the topology has it no more; it is asked until another one can be. place: as the topology says.
    reported: the shards whose contexts it says it has, None where it has all or has not said yet.
    full: until when those of other zones are as good, as it refused a call.
    """

    def __init__(
        self, target: str, stub: Callable[[grpc.aio.Channel], Stub], connect: Connect = plain
    ) -> None:
        self.target = target
        self.channel = connect(target, CHANNEL_OPTIONS)
        self.stub = stub(self.channel)
        self.health = ReplicaHealth(time.monotonic())
        self.logged = Health.HEALTHY
        self.held: set[str] = set()
        self.tried = 0.0
        self.barred = ""
        self.calls = Recent()
        self.leaving = False
        self.place = Place()
        self.reported: frozenset[str] | None = None
        self.full = 0.0

    @property
    def shards(self) -> frozenset[str] | None:
        """The shards whose contexts it has, None for all: as it reports; a topology may be ahead of it."""
        return self.place.shards if self.reported is None else self.reported

    def has(self, shards: frozenset[str]) -> bool:
        """Whether it has the contexts of all of some shards."""
        return self.shards is None or shards <= self.shards
