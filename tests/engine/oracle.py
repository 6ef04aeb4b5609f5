"""A whole engine by brute force: workers that answer the internal protos with plain numpy.

The corpus is seeded noise. A sentence's vector is noise seeded by the sentence. A moment's refined span is
the middle of its proposal, its score the dot product of the sentence with the proposal's first segment.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import grpc.aio
import numpy as np

from engine import serving, wire
from engine.config import CoordinatorConfig, IndexConfig, RankerConfig, Topology
from engine.errors import Mismatch, SprError
from engine.gate import Gate
from engine.types import EncodedQuery
from spr.internal.v1 import (
    encoder_service_pb2_grpc,
    index_shard_service_pb2,
    index_shard_service_pb2_grpc,
    ranker_service_pb2,
    ranker_service_pb2_grpc,
)
from tests.engine.corpus import DIM, MODEL, RANKER, Corpus, sentence

Result = TypeVar("Result")


class Held:
    """Calls pass while `open` is set, probes while `info` is; otherwise they wait, as if stopped."""

    def __init__(self) -> None:
        self.open, self.info = threading.Event(), threading.Event()
        self.open.set()
        self.info.set()
        self.calls = self.waiting = 0

    def enter(self) -> None:
        self.calls += 1
        self.waiting += not self.open.is_set()
        self.open.wait(20)


def refuse(code: grpc.StatusCode | None) -> None:
    if code is not None:
        error = SprError("told to refuse", code.name)
        error.status = code
        raise error


class IndexOracle(index_shard_service_pb2_grpc.IndexShardServiceServicer):
    def __init__(self, corpus: Corpus, shard: int) -> None:
        self.corpus, self.shard, self.held = corpus, shard, Held()
        self.videos = corpus.of_shard(shard)
        self.generation, self.name = corpus.generation, f"shard-{shard:05d}"
        self.broken = False
        self.careless = False  # one that answers for whatever shard it is asked
        self.refuses: grpc.StatusCode | None = None

    def SearchSegments(self, request: Any, context: Any) -> index_shard_service_pb2.SearchSegmentsResponse:
        self.held.enter()
        if self.broken:
            raise RuntimeError("secret detail")
        refuse(self.refuses)
        if request.generation != self.generation:
            raise Mismatch("another generation", "GENERATION_MISMATCH")
        if request.shard != self.name and not self.careless:
            raise Mismatch("another shard", "SHARD_MISMATCH")
        queries = wire.tensor_from_pb(request.queries.tensor, [None, DIM], "queries")
        parts = [self.corpus.search(query, self.videos, request.top_k) for query in queries]
        response = wire.hits_to_pb(parts)
        response.generation, response.videos_searched = self.generation, len(self.videos)
        response.shard = request.shard if self.careless else self.name
        return response

    def GetShardInfo(self, request: Any, context: Any) -> index_shard_service_pb2.GetShardInfoResponse:
        self.held.info.wait(20)
        return index_shard_service_pb2.GetShardInfoResponse(
            shard=self.name,
            generation=self.generation,
            embedding_model=MODEL,
            videos=len(self.videos),
        )


class RankerOracle(
    ranker_service_pb2_grpc.RankerServiceServicer, encoder_service_pb2_grpc.EncoderServiceServicer
):
    def __init__(self, corpus: Corpus) -> None:
        self.corpus, self.encoding, self.ranking = corpus, Held(), Held()
        self.refuses: grpc.StatusCode | None = None

    def Encode(self, request: Any, context: Any) -> Any:
        self.encoding.enter()
        refuse(self.refuses)
        if request.text == "broken":
            raise RuntimeError("secret detail")
        # The tokens carry the sentence, so that Rank can be checked against it.
        tokens = np.frombuffer(request.text.encode().ljust(64), np.uint8).astype(np.float32)[:, None]
        vector = sentence(request.text)
        response = wire.encoded_to_pb(EncodedQuery(vector, tokens, vector, MODEL, len(request.text) > 50))
        response.generation = request.generation
        return response

    def Rank(self, request: Any, context: Any) -> ranker_service_pb2.RankResponse:
        self.ranking.enter()
        refuse(self.refuses)
        tokens = wire.tensor_from_pb(request.token_states, [None, 1], "token_states")
        text = tokens[:, 0].astype(np.uint8).tobytes().decode().strip()
        videos = wire.ints_from_bytes(request.video_ordinals, "videos")
        spans = wire.doubles_from_bytes(request.spans, "spans").reshape(-1, 2)
        rows = [self.corpus.judge(text, int(v), *map(float, s)) for v, s in zip(videos, spans, strict=True)]
        table = np.array(rows, np.float64).reshape(-1, 3)
        return ranker_service_pb2.RankResponse(
            ranker_model=RANKER,
            generation=request.generation,
            spans=wire.doubles_to_bytes(table[:, :2]),
            scores=wire.doubles_to_bytes(table[:, 2]),
            relevances=wire.floats_to_bytes(table[:, 2]),
            refined=bytes([1] * len(rows)),
        )

    def GetRankerInfo(self, request: Any, context: Any) -> ranker_service_pb2.GetRankerInfoResponse:
        return ranker_service_pb2.GetRankerInfoResponse(
            ranker_model=RANKER,
            embedding_model=MODEL,
            generation=self.corpus.generation,
            videos=self.corpus.videos,
        )


class Server:
    """A grpc.aio server as the workers run it, in a thread of its own. add: registers the servicers."""

    def __init__(
        self, add: Callable[[grpc.aio.Server], object], address: str = "127.0.0.1:0", places: int = 16
    ) -> None:
        self._loop = asyncio.new_event_loop()
        self._pool = ThreadPoolExecutor(places)
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.gate = Gate(places)
        self._server, self.address = self._run(self._start(add, address))

    def stop(self) -> None:
        if self._thread.is_alive():
            self._run(self._server.stop(None))
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()
            self._pool.shutdown(wait=False)

    def _run(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(
        self, add: Callable[[grpc.aio.Server], object], address: str
    ) -> tuple[grpc.aio.Server, str]:
        server = serving.aio_server(self.gate, self._pool, "it is a test's")
        add(server)
        serving.add_probes(server, [])
        bound = serving.bind(server, address)
        await server.start()
        return server, bound


def start(servicer: Any, address: str = "127.0.0.1:0") -> Server:
    """Serve an oracle at an address, port 0 for a free one."""

    def add(server: grpc.aio.Server) -> None:
        if isinstance(servicer, IndexOracle):
            index_shard_service_pb2_grpc.add_IndexShardServiceServicer_to_server(servicer, server)
        else:
            ranker_service_pb2_grpc.add_RankerServiceServicer_to_server(servicer, server)
            encoder_service_pb2_grpc.add_EncoderServiceServicer_to_server(servicer, server)

    return Server(add, address)


@dataclass
class Cluster:
    """Running workers and the topology that names them."""

    corpus: Corpus
    topology: Topology
    shards: list[list[IndexOracle]]
    rankers: list[RankerOracle]
    servers: dict[str, Server]

    def kill(self, target: str) -> None:
        self.servers[target].stop()


@contextmanager
def cluster(
    folder: Path, corpus: Corpus | None = None, replicas: int = 1, rankers: int = 1, **config: Any
) -> Iterator[Cluster]:
    """Start `replicas` workers a shard and `rankers` ranker workers; `config` is the coordinator's."""
    corpus = corpus or Corpus()
    collection = corpus.write(folder / "collection")
    shards = [[IndexOracle(corpus, shard) for _ in range(replicas)] for shard in range(corpus.shards)]
    judges = [RankerOracle(corpus) for _ in range(rankers)]
    servers: dict[str, Server] = {}

    def serve(servicer: Any) -> str:
        server = start(servicer)
        servers[server.address] = server
        return server.address

    topology = Topology(
        path=folder / "topology.toml",
        collection=collection,
        coordinator=CoordinatorConfig(listen="127.0.0.1:0", admin="127.0.0.1:0", **config),
        index=tuple(
            IndexConfig(shard=shard, listen=serve(worker))
            for shard, workers in enumerate(shards)
            for worker in workers
        ),
        ranker=tuple(RankerConfig(listen=serve(judge), name=f"ranker-{i}") for i, judge in enumerate(judges)),
    )
    try:
        yield Cluster(corpus, topology, shards, judges, servers)
    finally:
        for worker in [worker for workers in shards for worker in workers]:
            worker.held.open.set()
            worker.held.info.set()
        for judge in judges:
            judge.encoding.open.set()
            judge.ranking.open.set()
        for server in servers.values():
            server.stop()
