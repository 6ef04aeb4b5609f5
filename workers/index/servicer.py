"""The index worker's service: from messages, search, to messages."""

import time
from dataclasses import dataclass
from pathlib import Path

import grpc
from engine.manifest import Manifest, ShardEntry

from engine import manifest as manifests
from engine import wire
from engine.errors import InvalidInput, Mismatch, NotFound, quoted
from spr.internal.v1 import index_shard_service_pb2, index_shard_service_pb2_grpc
from workers.index.files import warm_originals
from workers.index.shard import IndexShard
from workers.index.training import VERSION
from workers.resident import resident_bytes
from workers.watch import Watch

# Hits in one answer: 12 bytes each, so that a message stays below 1 MiB.
MAX_HITS = 65_536


@dataclass(frozen=True, slots=True)
class OpenShard:
    """A verified shard, the generation it is a part of, and what watches its files."""

    manifest: Manifest
    entry: ShardEntry
    index: IndexShard
    watch: Watch


def open_shard(generation: Path, name: str, device: str = "auto") -> OpenShard:
    """Open the shard `name` ("shard-00000") of a generation, every byte of its files verified.

    Raises NotFound for a shard the generation has not, Mismatch with the file or the number that differs.
    """
    manifest = manifests.read(generation)
    entry = next((shard for shard in manifest.shards if shard.name == name), None)
    if entry is None:
        names = ", ".join(shard.name for shard in manifest.shards)
        raise NotFound(f"generation {manifest.id} has no {name}, only {names}.", reason="SHARD_NOT_FOUND")
    watch = Watch(generation, manifest, manifest.files_of(name))
    manifests.verify(generation, manifest, manifest.files_of(name))
    index = IndexShard.open(generation / name, device)
    if (index.dim, len(index)) != (manifest.dim, entry.segments):
        message = f"{generation / name} holds {len(index)} vectors of width {index.dim}, the manifest says "
        message += f"{entry.segments} of {manifest.dim}: build the generation again."
        raise Mismatch(message, reason="GENERATION_CORRUPT")
    if index.device == "cpu":
        warm_originals(generation / name)
    return OpenShard(manifest, entry, index, watch)


class IndexShardServicer(index_shard_service_pb2_grpc.IndexShardServiceServicer):
    """Searches one shard of one generation."""

    def __init__(self, shard: OpenShard) -> None:
        self._shard = shard

    def SearchSegments(
        self, request: index_shard_service_pb2.SearchSegmentsRequest, context: grpc.ServicerContext
    ) -> index_shard_service_pb2.SearchSegmentsResponse:
        """Return the best `top_k` segments of each query; Mismatch for another shard, generation or model."""
        began = time.perf_counter()
        manifest = self._shard.manifest
        check_pinned(request, manifest, self._shard.entry.name)
        queries = wire.tensor_from_pb(request.queries.tensor, [None, manifest.dim], "queries.tensor")
        check_size(len(queries), request.top_k)
        nprobe = request.nprobe if request.HasField("nprobe") else None
        response = wire.hits_to_pb(self._shard.index.search(queries, request.top_k, nprobe))
        self._shard.watch.check()
        response.generation, response.shard = manifest.id, self._shard.entry.name
        response.videos_searched = self._shard.entry.videos
        response.search_time.CopyFrom(wire.duration_to_pb(time.perf_counter() - began))
        return response

    def GetShardInfo(
        self, request: index_shard_service_pb2.GetShardInfoRequest, context: grpc.ServicerContext
    ) -> index_shard_service_pb2.GetShardInfoResponse:
        """Say what this worker holds."""
        manifest, entry = self._shard.manifest, self._shard.entry
        return index_shard_service_pb2.GetShardInfoResponse(
            shard=entry.name,
            generation=manifest.id,
            embedding_model=manifest.embedding_model,
            videos=entry.videos,
            segments=entry.segments,
            bytes_resident=resident_bytes(),
            index_factory=manifest.factory,
            device=self._shard.index.device,
            faiss_version=VERSION,
            quantizer_sha256=manifest.quantizer_sha256,
        )


def check_pinned(
    request: index_shard_service_pb2.SearchSegmentsRequest, manifest: Manifest, shard: str
) -> None:
    """Refuse (Mismatch) a request for another shard or generation, or of another embedding model."""
    if request.shard != shard:
        message = f"the caller asks {quoted(request.shard)}, this worker serves {shard}: "
        raise Mismatch(message + "write the worker's own address into the topology.", "SHARD_MISMATCH")
    if request.generation != manifest.id:
        message = (
            f"the caller asks generation {quoted(request.generation)}, this worker serves {manifest.id}: "
        )
        raise Mismatch(message + "serve the same generation everywhere.", reason="GENERATION_MISMATCH")
    if request.queries.model_id != manifest.embedding_model:
        message = f"the queries are of embedding model {quoted(request.queries.model_id)}, the segments of "
        raise Mismatch(message + f"{manifest.embedding_model}: encode with the generation's models.")


def check_size(queries: int, top_k: int) -> None:
    """Refuse (InvalidInput) what has no answer or one too large to send."""
    if queries < 1 or top_k < 1:
        field = "top_k" if top_k < 1 else "queries"
        raise InvalidInput(f"{queries} queries and top_k {top_k}; both must be at least 1.", field=field)
    if queries * top_k > MAX_HITS:
        message = f"{queries} queries x top_k {top_k} make more than {MAX_HITS} hits: "
        raise InvalidInput(message + "send fewer queries at once or ask for fewer hits.", field="top_k")
