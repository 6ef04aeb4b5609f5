"""A whole engine by brute force: workers that answer the internal protos with plain numpy."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc.aio
import numpy as np

from engine import versions, wire, wire_filter, wire_texts
from engine.access.guard import Door
from engine.access.process import Access
from engine.access.settings import AccessConfig
from engine.config import CoordinatorConfig, IndexWorkerConfig, RankerWorkerConfig, Topology
from engine.errors import Mismatch
from engine.filters import Stretch
from spr.internal.v1 import (
    encoder_service_pb2_grpc,
    index_shard_service_pb2,
    index_shard_service_pb2_grpc,
    ranker_service_pb2_grpc,
    version_service_pb2_grpc,
)
from tests.engine.corpus import DIM, Corpus
from tests.engine.holding import Held, Versions, on_duty
from tests.engine.ranker_oracle import RankerOracle as RankerOracle
from tests.engine.ranker_oracle import refuse as refuse
from tests.engine.server import Server as Server


class IndexOracle(Versions, index_shard_service_pb2_grpc.IndexShardServiceServicer):
    def __init__(self, library: dict[str, Corpus], shard: int) -> None:
        super().__init__(library)
        self.shard, self.held = shard, Held()
        self.videos: list[int] | None = None  # in place of those of its shard
        self.name = f"shard-{shard:05d}"
        self.broken = False
        self.old = False  # one of a release that knows no filters
        self.careless = False  # one that answers for whatever shard it is asked
        self.refuses: grpc.StatusCode | None = None

    def SearchTogether(self, request: Any, context: Any) -> Any:
        # As a worker of the last release.
        refuse(grpc.StatusCode.UNIMPLEMENTED)

    @on_duty
    def SearchSegments(self, request: Any, context: Any) -> index_shard_service_pb2.SearchSegmentsResponse:
        self.held.enter()
        if self.broken:
            raise RuntimeError("secret detail")
        refuse(self.refuses)
        corpus = self.of(request.generation)
        if request.shard != self.name and not self.careless:
            raise Mismatch("another shard", "SHARD_MISMATCH")
        queries: Any = []
        if request.HasField("queries"):
            queries = wire.tensor_from_pb(request.queries.tensor, [None, DIM], "queries")
        videos = corpus.of_shard(self.shard) if self.videos is None else self.videos
        searched, stretch = videos, Stretch()
        if request.HasField("allowed") and not self.old:
            mask, stretch = wire_filter.allowed_from_pb(request.allowed, np.array(videos, np.int32))
            searched = [video for video, may in zip(videos, mask, strict=True) if may]
        parts = [corpus.search(query, searched, request.top_k, stretch) for query in queries]
        response = wire.hits_to_pb(parts)
        sought = wire_texts.sought_from_pb(request.texts, DIM)
        found = corpus.search_texts(sought, searched, request.top_k, stretch)
        response.texts.extend(wire_texts.hits_to_pb(found))
        response.generation, response.videos_searched = request.generation, len(videos)
        response.filtered = request.HasField("allowed") and not self.old
        response.shard = request.shard if self.careless else self.name
        return response

    def GetShardInfo(self, request: Any, context: Any) -> index_shard_service_pb2.GetShardInfoResponse:
        self.held.info.wait(20)
        return index_shard_service_pb2.GetShardInfoResponse(
            shard=self.name, held=self.listing(self.shard), report=self.report()
        )


def start(servicer: Any, address: str = "127.0.0.1:0", door: Door | None = None) -> Server:
    """Serve an oracle at an address, port 0 for a free one."""

    def add(server: grpc.aio.Server) -> None:
        version_service_pb2_grpc.add_VersionServiceServicer_to_server(servicer, server)
        if isinstance(servicer, IndexOracle):
            index_shard_service_pb2_grpc.add_IndexShardServiceServicer_to_server(servicer, server)
        else:
            ranker_service_pb2_grpc.add_RankerServiceServicer_to_server(servicer, server)
            encoder_service_pb2_grpc.add_EncoderServiceServicer_to_server(servicer, server)

    return Server(add, address, door=door)


@dataclass
class Cluster:
    """Running workers and the topology that names them. library: what they can prepare, by version."""

    corpus: Corpus
    topology: Topology
    shards: list[list[IndexOracle]]
    rankers: list[RankerOracle]
    servers: dict[str, Server]
    library: dict[str, Corpus]

    @property
    def workers(self) -> list[IndexOracle | RankerOracle]:
        return [*(worker for shard in self.shards for worker in shard), *self.rankers]

    def kill(self, target: str) -> None:
        self.servers[target].stop()

    def write(self, corpus: Corpus, activate: bool = True) -> Corpus:
        """Write a corpus as the version that follows the first one."""
        corpus.write(self.topology.collection, self.corpus.version, activate=False)
        # A worker can prepare it before anybody is told of it.
        self.library[corpus.version] = corpus
        if activate:
            versions.activate(self.topology.collection, corpus.version)
        return corpus

    def close(self) -> None:
        """Let go of every call that is held, and stop."""
        for worker in self.workers:
            for gate in (value for value in vars(worker).values() if isinstance(value, Held)):
                gate.open.set()
                gate.info.set()
        for server in self.servers.values():
            server.stop()


@contextlib.contextmanager
def cluster(
    folder: Path,
    corpus: Corpus | None = None,
    replicas: int = 1,
    rankers: int = 1,
    others: Sequence[Corpus] = (),
    access: AccessConfig | None = None,
    **config: Any,
) -> Iterator[Cluster]:
    """Start `replicas` workers a shard and `rankers` ranker workers; `config` is the coordinator's.

    others: of further collections. access: of all of them.
    """
    corpus = corpus or Corpus()
    collection = corpus.write(folder / "collection")
    more = tuple(other.write(folder / other.name) for other in others)
    library = {one.version: one for one in (corpus, *others)}
    shards = [[IndexOracle(library, shard) for _ in range(replicas)] for shard in range(corpus.shards)]
    judges = [RankerOracle(library) for _ in range(rankers)]
    door = Access(access).for_fleet() if access else None
    oracles = (start(oracle, door=door) for oracle in [*itertools.chain(*shards), *judges])
    servers = {server.address: server for server in oracles}
    addresses = iter(servers)
    topology = Topology(
        path=folder / "topology.toml",
        collection=collection,
        collections=more,
        access=access,
        coordinator=CoordinatorConfig(listen="127.0.0.1:0", admin="127.0.0.1:0", **config),
        index=tuple(
            IndexWorkerConfig(shard=shard, listen=next(addresses))
            for shard, workers in enumerate(shards)
            for _ in workers
        ),
        ranker=tuple(RankerWorkerConfig(listen=next(addresses), name=f"ranker-{i}") for i in range(rankers)),
    )
    running = Cluster(corpus, topology, shards, judges, servers, library)
    with contextlib.closing(running):
        yield running
