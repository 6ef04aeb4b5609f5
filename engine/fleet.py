"""The workers of a topology, connected once: every version and every collection shares the channels."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc.aio

from engine.access.channels import Connect, plain
from engine.config import Topology
from engine.entries import Version
from engine.errors import InvalidInput
from engine.process_config import DNS, IndexWorkerConfig, RankerWorkerConfig
from engine.replica import Place, Replica
from engine.replicas import Replicas
from engine.together import Together
from spr.internal.v1.encoder_service_pb2_grpc import EncoderServiceStub
from spr.internal.v1.index_shard_service_pb2 import (
    SearchSegmentsRequest,
    SearchSegmentsResponse,
    SearchTogetherRequest,
)
from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceStub
from spr.internal.v1.ranker_service_pb2 import RankRequest, RankResponse, RankTogetherRequest
from spr.internal.v1.ranker_service_pb2_grpc import RankerServiceStub
from spr.internal.v1.version_service_pb2_grpc import VersionServiceStub

if TYPE_CHECKING:
    from spr.internal.v1.encoder_service_pb2_grpc import EncoderServiceAsyncStub
    from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceAsyncStub
    from spr.internal.v1.ranker_service_pb2_grpc import RankerServiceAsyncStub
    from spr.internal.v1.version_service_pb2_grpc import VersionServiceAsyncStub

_log = logging.getLogger("spr.topology")
RANKER, ENCODER = "ranker", "encoder"
GRACE = 5.0  # seconds that the last calls to a worker have which left the topology


class IndexStubs:
    """The services of an index worker, on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.shard: IndexShardServiceAsyncStub = IndexShardServiceStub(channel)
        self.search: Together[SearchSegmentsRequest, SearchSegmentsResponse] = Together(
            self.shard.SearchSegments, self.shard.SearchTogether, SearchTogetherRequest
        )
        self.versions: VersionServiceAsyncStub = VersionServiceStub(channel)


class RankerStubs:
    """The services of a ranker worker, on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.encoder: EncoderServiceAsyncStub = EncoderServiceStub(channel)
        self.ranker: RankerServiceAsyncStub = RankerServiceStub(channel)
        self.rank: Together[RankRequest, RankResponse] = Together(
            self.ranker.Rank, self.ranker.RankTogether, RankTogetherRequest
        )
        self.versions: VersionServiceAsyncStub = VersionServiceStub(channel)


@dataclass(frozen=True, eq=False, slots=True)
class Needed:
    """Workers of which one at least must hold a version: of a shard, of the contexts of one, or encoders."""

    name: str
    replicas: Replicas[Any]
    shards: frozenset[str] = frozenset()

    @property
    def members(self) -> list[Replica[Any]]:
        """The workers."""
        return [member for member in self.replicas.members if member.has(self.shards)]

    def label(self, member: Replica[Any]) -> str:
        """Return a worker's name as the operator knows it; rankers and encoders are numbered."""
        if self.replicas.name not in (RANKER, ENCODER):
            return self.name
        # One that has left the topology meanwhile has no number any more.
        there = self.replicas.members
        return f"{self.replicas.name}-{there.index(member)}" if member in there else self.replicas.name


class Fleet:
    """The index workers by shard, the ranker workers, and the encoders, without which the rankers encode.

    Belongs to the event loop it was made in. on_gone: told of the address of a worker that left the topology.
    """

    def __init__(self, topology: Topology, connect: Connect = plain) -> None:
        self._path, self._alone = topology.path, not topology.collections
        self._connect = connect
        self._longest = topology.coordinator.max_deadline
        self._retiring: set[asyncio.Task[None]] = set()
        self.on_gone: Callable[[str], None] = lambda _: None
        self._zone = topology.coordinator.zone
        self.shards: dict[str, Replicas[IndexStubs]] = {}
        self.rankers: Replicas[RankerStubs] = Replicas(RANKER, (), RankerStubs, connect, self._zone)
        self.encoders = self.rankers
        self._use(_targets(topology, {}))

    def follow(self, topology: Topology, resolved: Mapping[str, Sequence[str]], needed: set[str]) -> None:
        """Use the workers of a topology from now on; others until they are replaced, see `let_go`.

        resolved: addresses of the `dns:` names. needed: shards of what is served; InvalidInput without one.
        """
        targets = _targets(topology, resolved)
        if lost := needed - set(targets):
            raise InvalidInput(
                f"{topology.path} has no [[index]] of {_list(lost)}, which a version that is served has"
            )
        if (ENCODER in targets) is (self.encoders is self.rankers):
            raise InvalidInput(
                f"{topology.path} has its first [[encoder]], or has lost its last one, which rankers and "
                "coordinators learn when they start: start the service again"
            )
        # A shard more than the version has may be one of a version to come.
        self._alone = self._alone and set(targets) - {RANKER, ENCODER} == set(self.shards)
        for name in set(self.shards) - set(targets):
            self._retire_all(self.shards.pop(name).members)
        self._use(targets)

    def _use(self, targets: Mapping[str, Mapping[str, Place]]) -> None:
        """Have the workers of these addresses."""
        connected = self._connect, self._zone
        if ENCODER in targets and self.encoders is self.rankers:
            self.encoders = Replicas(ENCODER, (), RankerStubs, *connected)
        for name, places in sorted(targets.items()):
            if name not in (RANKER, ENCODER, *self.shards):
                self.shards[name] = Replicas(name, (), IndexStubs, *connected)
            there: dict[str, Replicas[Any]] = {RANKER: self.rankers, ENCODER: self.encoders, **self.shards}
            there[name].follow(places, places)

    @property
    def all(self) -> list[Replicas[Any]]:
        """All workers, each once."""
        encoders = [] if self.encoders is self.rankers else [self.encoders]
        return [*self.shards.values(), self.rankers, *encoders]

    def let_go(self, active: Sequence[Version]) -> bool:
        """Part with workers that have left the topology and are replaced; return whether none is left.

        active: the versions that new searches are answered from.
        """
        for group in self.all:
            if group.leaving:
                every = group.name in (RANKER, ENCODER)
                mine = {v.id for v in active if every or any(shard.name == group.name for shard in v.shards)}
                self._retire_all(group.let_go(mine, self.shards))
        return not any(group.leaving for group in self.all)

    def _retire_all(self, gone: Sequence[Replica[Any]]) -> None:
        for member in gone:
            _log.info("%s has left the topology", member.target)
            self.on_gone(member.target)
            task = asyncio.create_task(self._retire(member))
            self._retiring.add(task)
            task.add_done_callback(self._retiring.discard)

    async def _retire(self, member: Replica[Any]) -> None:
        # A call that began before may still turn to it, and has at most this long.
        try:
            await asyncio.sleep(self._longest)
        finally:
            await member.channel.close(GRACE)

    def of(self, version: Version) -> list[Needed]:
        """Return the replicas of each shard of a version, rankers and encoders: all are needed to answer.

        InvalidInput unless the topology names a worker for each shard.
        """
        listed = {shard.name for shard in version.shards}
        # With several collections the largest one sets the number of workers.
        if not listed <= set(self.shards) or (self._alone and listed != set(self.shards)):
            remedy = "write one [[index]] or more for each shard of the version"
            raise InvalidInput(
                f"version {version.id} of collection {version.collection!r} has {_list(listed)}, "
                f"{self._path} names {_list(set(self.shards))}; "
                # A topology without a file is made of the collections, by their shards.
                f"{'start `spr serve` again' if self._path.is_dir() else remedy}"
            )
        needed = [Needed(shard.name, self.shards[shard.name]) for shard in version.shards]
        if not self.rankers.split:
            needed.append(Needed(RANKER, self.rankers))
        else:
            names = [shard.name for shard in version.shards]
            needed += [Needed(f"{RANKER} of {name}", self.rankers, frozenset([name])) for name in names]
        if self.encoders is not self.rankers:
            needed.append(Needed(ENCODER, self.encoders))
        return needed

    async def close(self) -> None:
        """Close the channels."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await asyncio.gather(*(group.close() for group in self.all))


def _targets(topology: Topology, resolved: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Place]]:
    """Return the addresses of each shard's workers by its name, of the rankers, and of encoders if any."""
    found: dict[str, dict[str, Place]] = {RANKER: {}}
    for worker in topology.workers:
        name, place = ENCODER, Place(worker.zone)
        if isinstance(worker, IndexWorkerConfig):
            name = worker.name
        elif isinstance(worker, RankerWorkerConfig):
            name, place = RANKER, Place(worker.zone, worker.holds)
        several = resolved.get(worker.target, ()) if worker.target.startswith(DNS) else (worker.target,)
        found.setdefault(name, {}).update(dict.fromkeys(several, place))
    return found


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no shards"
