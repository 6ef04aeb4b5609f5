"""A whole engine by brute force: workers that answer the internal protos with plain numpy.

The corpus is seeded noise. A sentence's vector is noise seeded by the sentence. A moment's refined span is
the middle of its proposal, its score the dot product of the sentence with the proposal's first segment.
"""

import threading
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2_grpc

from engine import manifest as manifests
from engine import wire
from engine.catalogue import CATALOGUE, Catalogue
from engine.config import CoordinatorConfig, IndexConfig, RankerConfig, Topology
from engine.errors import Mismatch, SprError
from engine.interceptors import Gate, SyncInterceptor
from engine.types import EncodedQuery, Floats, Hits
from spr.internal.v1 import (
    encoder_service_pb2_grpc,
    index_shard_service_pb2,
    index_shard_service_pb2_grpc,
    ranker_service_pb2,
    ranker_service_pb2_grpc,
)

DIM, SEGMENT, MODEL, RANKER = 8, 4.0, "enc/mean-pool", "oracle@1"


def unit(rows: Floats) -> Floats:
    result: Floats = (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)
    return result


def sentence(text: str) -> Floats:
    return unit(np.random.default_rng(zlib.crc32(text.encode())).normal(size=DIM).astype(np.float32))


@dataclass(frozen=True)
class Corpus:
    """Videos of 1..9 segments, the last of which may be cut short."""

    videos: int = 12
    shards: int = 2
    seed: int = 0
    vectors: list[Floats] = field(default_factory=list)
    durations: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        random = np.random.default_rng(self.seed)
        for _ in range(self.videos):
            n = int(random.integers(1, 10))
            self.vectors.append(unit(random.normal(size=(n, DIM)).astype(np.float32)))
            self.durations.append(float(n * SEGMENT - random.uniform(0, SEGMENT - 0.1)))

    def ids(self) -> list[str]:
        return [f"video-{i:03d}" for i in range(self.videos)]

    def of_shard(self, shard: int) -> list[int]:
        return [video for video in range(self.videos) if video % self.shards == shard]

    def write(self, directory: Path) -> Path:
        """Write the collection with one generation, all but its shards; return its directory."""
        generation = directory / "generations" / "g1"
        generation.mkdir(parents=True)
        Catalogue(
            ids=self.ids(),
            uris=[f"file:///videos/{name}.mp4" for name in self.ids()],
            durations=np.array(self.durations),
            segments=np.array([len(rows) for rows in self.vectors], np.int32),
            shards=np.array([video % self.shards for video in range(self.videos)], np.int32),
        ).write(generation)
        manifests.write(generation, self.manifest(generation))
        manifests.activate(directory, "g1")
        return directory

    def manifest(self, generation: Path) -> manifests.Manifest:
        shards = []
        for shard in range(self.shards):
            videos = self.of_shard(shard)
            segments = sum(len(self.vectors[video]) for video in videos)
            shards.append(manifests.ShardEntry(f"shard-{shard:05d}", len(videos), segments))
        return manifests.Manifest(
            id="g1",
            created="2026-01-02T03:04:05+00:00",
            collection="default",
            encoder=manifests.EncoderEntry("enc", "enc"),
            projector=None,
            ranker=None,
            embedding_model=MODEL,
            dim=DIM,
            segment_length=SEGMENT,
            factory="Flat",
            quantizer_sha256="",
            videos=self.videos,
            segments=sum(shard.segments for shard in shards),
            shards=tuple(shards),
            streams={},
            files=manifests.describe_files(generation, [CATALOGUE]),
        )

    def search(self, vector: Floats, videos: Sequence[int], top_k: int) -> Hits:
        """Return the best segments of some videos, exhaustively."""
        rows = [
            (-float(row @ vector), video, segment)
            for video in videos
            for segment, row in enumerate(self.vectors[video])
        ]
        best = sorted(rows)[:top_k]
        columns: list[Any] = list(zip(*best, strict=True)) if best else [[], [], []]
        scores = -np.array(columns[0], np.float32)
        return Hits(np.array(columns[1], np.int32), np.array(columns[2], np.int32), scores)

    def judge(self, text: str, video: int, start: float, end: float) -> tuple[float, float, float]:
        """Return the refined start, end and score of a proposal."""
        quarter = (end - start) / 4
        return (
            start + quarter,
            end - quarter,
            float(self.vectors[video][int(start / SEGMENT)] @ sentence(text)),
        )


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
        self.generation = "g1"
        self.refuses: grpc.StatusCode | None = None

    def SearchSegments(self, request: Any, context: Any) -> index_shard_service_pb2.SearchSegmentsResponse:
        self.held.enter()
        refuse(self.refuses)
        if request.generation != self.generation:
            raise Mismatch("another generation", "GENERATION_MISMATCH")
        queries = wire.tensor_from_pb(request.queries.tensor, [None, DIM], "queries")
        parts = [self.corpus.search(query, self.videos, request.top_k) for query in queries]
        response = wire.hits_to_pb(parts)
        response.generation, response.videos_searched = self.generation, len(self.videos)
        return response

    def GetShardInfo(self, request: Any, context: Any) -> index_shard_service_pb2.GetShardInfoResponse:
        self.held.info.wait(20)
        return index_shard_service_pb2.GetShardInfoResponse(
            shard=f"shard-{self.shard:05d}",
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
        return wire.encoded_to_pb(EncodedQuery(vector, tokens, vector, MODEL))

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
            spans=wire.doubles_to_bytes(table[:, :2]),
            scores=wire.doubles_to_bytes(table[:, 2]),
            relevances=wire.floats_to_bytes(table[:, 2]),
            refined=bytes([1] * len(rows)),
        )

    def GetRankerInfo(self, request: Any, context: Any) -> ranker_service_pb2.GetRankerInfoResponse:
        return ranker_service_pb2.GetRankerInfoResponse(
            ranker_model=RANKER, embedding_model=MODEL, generation="g1", videos=self.corpus.videos
        )


def start(servicers: Sequence[Any], address: str = "127.0.0.1:0") -> tuple[grpc.Server, str]:
    """Serve servicers at an address, port 0 for a free one; return the server and where it is."""
    interceptor = SyncInterceptor(Gate(16))
    server = grpc.server(
        ThreadPoolExecutor(20), interceptors=[interceptor], options=[("grpc.so_reuseport", 0)]
    )
    health_pb2_grpc.add_HealthServicer_to_server(health.HealthServicer(), server)
    for servicer in servicers:
        if isinstance(servicer, IndexOracle):
            index_shard_service_pb2_grpc.add_IndexShardServiceServicer_to_server(servicer, server)
        else:
            ranker_service_pb2_grpc.add_RankerServiceServicer_to_server(servicer, server)
            encoder_service_pb2_grpc.add_EncoderServiceServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    server.start()
    return server, f"127.0.0.1:{port}"


@dataclass
class Cluster:
    """Running workers and the topology that names them."""

    corpus: Corpus
    topology: Topology
    shards: list[list[IndexOracle]]
    rankers: list[RankerOracle]
    servers: dict[str, grpc.Server]

    def kill(self, target: str) -> None:
        self.servers[target].stop(None).wait()


@contextmanager
def cluster(
    folder: Path, corpus: Corpus | None = None, replicas: int = 1, rankers: int = 1, **config: Any
) -> Iterator[Cluster]:
    """Start `replicas` workers a shard and `rankers` ranker workers; `config` is the coordinator's."""
    corpus = corpus or Corpus()
    shards = [[IndexOracle(corpus, shard) for _ in range(replicas)] for shard in range(corpus.shards)]
    judges = [RankerOracle(corpus) for _ in range(rankers)]
    servers: dict[str, grpc.Server] = {}

    def serve(servicer: Any) -> str:
        server, target = start([servicer])
        servers[target] = server
        return target

    topology = Topology(
        path=folder / "topology.toml",
        collection=corpus.write(folder / "collection"),
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
            server.stop(None).wait()
