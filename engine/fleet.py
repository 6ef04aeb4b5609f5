"""The workers of a topology, connected once: every version and every collection shares the channels."""

import asyncio
from typing import TYPE_CHECKING, Any

import grpc.aio

from engine.access.channels import Connect, plain
from engine.config import Topology
from engine.entries import Version
from engine.errors import InvalidInput
from engine.replicas import Replicas
from spr.internal.v1.encoder_service_pb2_grpc import EncoderServiceStub
from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceStub
from spr.internal.v1.ranker_service_pb2_grpc import RankerServiceStub
from spr.internal.v1.version_service_pb2_grpc import VersionServiceStub

if TYPE_CHECKING:
    from spr.internal.v1.encoder_service_pb2_grpc import EncoderServiceAsyncStub
    from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceAsyncStub
    from spr.internal.v1.ranker_service_pb2_grpc import RankerServiceAsyncStub
    from spr.internal.v1.version_service_pb2_grpc import VersionServiceAsyncStub


RANKER = "ranker"


class IndexStubs:
    """The services of an index worker, on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.shard: IndexShardServiceAsyncStub = IndexShardServiceStub(channel)
        self.versions: VersionServiceAsyncStub = VersionServiceStub(channel)


class RankerStubs:
    """The services of a ranker worker, on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.encoder: EncoderServiceAsyncStub = EncoderServiceStub(channel)
        self.ranker: RankerServiceAsyncStub = RankerServiceStub(channel)
        self.versions: VersionServiceAsyncStub = VersionServiceStub(channel)


class Fleet:
    """The index workers by shard, and the ranker workers, any of which may encode or rank.

    Belongs to the event loop it was made in.
    """

    def __init__(self, topology: Topology, connect: Connect = plain) -> None:
        self._path, self._alone = topology.path, not topology.collections
        targets: dict[str, list[str]] = {}
        for worker in topology.index:
            targets.setdefault(worker.name, []).append(worker.target)
        self.shards = {name: Replicas(name, targets[name], IndexStubs, connect) for name in sorted(targets)}
        rankers = [worker.target for worker in topology.ranker]
        self.rankers = Replicas(RANKER, rankers, RankerStubs, connect)

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
        await asyncio.gather(*(shard.close() for shard in self.shards.values()), self.rankers.close())


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "no shards"
