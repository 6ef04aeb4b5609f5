"""The workers of a topology, connected once: every version and every collection shares the channels."""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import grpc.aio

from engine.access.channels import Connect, plain
from engine.config import Topology
from engine.entries import Version
from engine.errors import InvalidInput
from engine.process_config import DNS, IndexWorkerConfig
from engine.replicas import Replica, Replicas
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
RANKER = "ranker"
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


class Fleet:
    """The index workers by shard, and the ranker workers, any of which may encode or rank.

    Belongs to the event loop it was made in. on_gone: told of the address of a worker that left the topology.
    """

    def __init__(self, topology: Topology, connect: Connect = plain) -> None:
        self._path, self._alone = topology.path, not topology.collections
        self._connect = connect
        self._longest = topology.coordinator.max_deadline
        self._retiring: set[asyncio.Task[None]] = set()
        self.on_gone: Callable[[str], None] = lambda _: None
        targets = _targets(topology, {})
        rankers = targets.pop(RANKER)
        self.shards = {name: Replicas(name, targets[name], IndexStubs, connect) for name in sorted(targets)}
        self.rankers = Replicas(RANKER, rankers, RankerStubs, connect)

    def follow(self, topology: Topology, resolved: Mapping[str, Sequence[str]], needed: set[str]) -> None:
        """Use the workers of a topology from now on; others until they are replaced, see `let_go`.

        resolved: addresses of the `dns:` names. needed: shards of what is served; InvalidInput without one.
        """
        targets = _targets(topology, resolved)
        rankers = targets.pop(RANKER)
        if lost := needed - set(targets):
            raise InvalidInput(
                f"{topology.path} has no [[index]] of {_list(lost)}, which a version that is served has"
            )
        # A shard more than the version has may be one of a version to come.
        self._alone = self._alone and set(targets) == set(self.shards)
        self.rankers.follow(rankers)
        for name in set(self.shards) - set(targets):
            self._retire_all(self.shards.pop(name).members)
        for name in sorted(targets):
            if name in self.shards:
                self.shards[name].follow(targets[name])
            else:
                self.shards[name] = Replicas(name, targets[name], IndexStubs, self._connect)

    def let_go(self, active: Sequence[Version]) -> bool:
        """Part with workers that have left the topology and are replaced; return whether none is left.

        active: the versions that new searches are answered from.
        """
        groups: list[Replicas[Any]] = [*self.shards.values(), self.rankers]
        for group in groups:
            if group.leaving:
                ranks = group is self.rankers
                mine = {v.id for v in active if ranks or any(shard.name == group.name for shard in v.shards)}
                self._retire_all(group.let_go(mine))
        return not any(group.leaving for group in groups)

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

    def of(self, version: Version) -> list[Replicas[Any]]:
        """Return the replicas of each shard of a version, and the rankers: each is needed to answer from it.

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
        return [*(self.shards[shard.name] for shard in version.shards), self.rankers]

    async def close(self) -> None:
        """Close the channels."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await asyncio.gather(*(shard.close() for shard in self.shards.values()), self.rankers.close())


def _targets(topology: Topology, resolved: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the addresses of each shard's workers by its name, and of the rankers."""
    found: dict[str, dict[str, None]] = {RANKER: {}}
    for worker in topology.workers:
        name = worker.name if isinstance(worker, IndexWorkerConfig) else RANKER
        several = resolved.get(worker.target, ()) if worker.target.startswith(DNS) else (worker.target,)
        found.setdefault(name, {}).update(dict.fromkeys(several))
    return {name: list(targets) for name, targets in found.items()}


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no shards"
