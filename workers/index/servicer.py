"""The index worker's service: from messages, search, to messages."""

import asyncio
import collections
import contextlib
import contextvars
import time
from concurrent.futures import Executor
from typing import Any, TypeAlias

import grpc
import grpc.aio

from engine import logs, tracing, wire, wire_texts
from engine.entries import Version
from engine.errors import InvalidInput, Mismatch, quoted
from engine.texts import TextsSought
from spr.internal.v1 import index_shard_service_pb2, index_shard_service_pb2_grpc
from workers import outcomes
from workers.duty import Duty
from workers.index.shard import Shard
from workers.index.training import VERSION
from workers.resident import resident_bytes
from workers.versions import Held

# Hits in one answer: 12 bytes each, so that a message stays below 1 MiB.
MAX_HITS = 65_536

_Outcome: TypeAlias = index_shard_service_pb2.SearchTogetherResponse.Outcome
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class IndexShardServicer(index_shard_service_pb2_grpc.IndexShardServiceServicer):
    """Searches one shard of the versions that are held."""

    def __init__(
        self,
        held: Held[Shard],
        name: str,
        device: str,
        duty: Duty,
        pool: Executor | None = None,
        lanes: int = 1,
    ) -> None:
        """Serve the shard `name` ("shard-00000"); device: what it was found to be searched on.

        pool: threads of searches that come together, None for the event loop's. lanes: how many it has.
        """
        self._held, self._duty, self._pool, self._lanes = held, duty, pool, lanes
        self._name = name
        self._device = device

    def SearchSegments(
        self, request: index_shard_service_pb2.SearchSegmentsRequest, context: grpc.ServicerContext
    ) -> index_shard_service_pb2.SearchSegmentsResponse:
        """Return the best `top_k` segments of each query; Mismatch for another shard, version or model."""
        with self._duty:
            return self._search(request)

    async def SearchTogether(
        self, request: index_shard_service_pb2.SearchTogetherRequest, context: Context
    ) -> index_shard_service_pb2.SearchTogetherResponse:
        """Answer several requests, as `SearchSegments` does each, in as many threads as compute at once.

        A thread takes one after the other: the answer is sent when all are there, and handing each of them
        to a thread costs a tenth of a search.
        """
        outcomes.check(len(request.requests))
        found = [_Outcome() for _ in request.requests]
        left = collections.deque(enumerate(request.requests))

        def search() -> None:
            with contextlib.suppress(IndexError):
                while True:
                    place, one = left.popleft()
                    found[place] = self._outcome(one)

        loop = asyncio.get_running_loop()
        # A context for each, since each binds request ids.
        lanes = [
            loop.run_in_executor(self._pool, contextvars.copy_context().run, search)
            for _ in range(min(self._lanes, len(left)))
        ]
        try:
            await asyncio.gather(*lanes)
        finally:
            # Of a caller that has gone, nothing further is searched.
            left.clear()
        return index_shard_service_pb2.SearchTogetherResponse(outcomes=found)

    def _outcome(self, request: index_shard_service_pb2.SearchSegmentsRequest) -> _Outcome:
        try:
            logs.bind_request_id(request.request_id)
            with self._duty:
                return _Outcome(response=self._search(request))
        except Exception as error:
            return _Outcome(status=outcomes.refused(error, "SearchSegments"))

    def _search(
        self, request: index_shard_service_pb2.SearchSegmentsRequest
    ) -> index_shard_service_pb2.SearchSegmentsResponse:
        began = time.perf_counter()
        check_shard(request.shard, self._name)
        shard = self._held.get(request.generation)
        allowed = request.allowed if request.HasField("allowed") else None
        response = index_shard_service_pb2.SearchSegmentsResponse()
        queries = 0
        if request.HasField("queries") or not request.HasField("texts"):
            check_model(request.queries.model_id, shard.version)
            vectors = wire.tensor_from_pb(request.queries.tensor, [None, shard.version.dim], "queries.tensor")
            queries = check_size(len(vectors), request.top_k)
            nprobe = request.nprobe if request.HasField("nprobe") else None
            response = wire.hits_to_pb(shard.search(vectors, request.top_k, nprobe, allowed))
        if request.HasField("texts"):
            sought = sought_of(request, shard.version, queries)
            found = shard.search_texts(sought, request.top_k, allowed)
            response.texts.extend(wire_texts.hits_to_pb(found))
        tracing.note(version=shard.version.id, shard=self._name, queries=queries, top_k=request.top_k)
        response.filtered = allowed is not None
        response.generation, response.shard = shard.version.id, self._name
        response.videos_searched = shard.entry.videos
        response.search_time.CopyFrom(wire.duration_to_pb(time.perf_counter() - began))
        return response

    async def GetShardInfo(
        self, request: index_shard_service_pb2.GetShardInfoRequest, context: Context
    ) -> index_shard_service_pb2.GetShardInfoResponse:
        """Say what this worker holds, and what is wrong with it."""
        return index_shard_service_pb2.GetShardInfoResponse(
            shard=self._name,
            bytes_resident=resident_bytes(),
            device=self._device,
            faiss_version=VERSION,
            held=self._held.listing(),
            report=self._duty.report(),
        )


def check_shard(asked: str, served: str) -> None:
    """Refuse (Mismatch) a request for another shard."""
    if asked != served:
        message = f"the caller asks {quoted(asked)}, this worker serves {served}: "
        raise Mismatch(message + "write the worker's own address into the topology.", "SHARD_MISMATCH")


def check_model(asked: str, version: Version) -> None:
    """Refuse (Mismatch) queries of another embedding model."""
    if asked != version.embedding_model:
        message = f"the queries are of embedding model {quoted(asked)}, the segments of "
        raise Mismatch(message + f"{version.embedding_model}: encode with the version's models.")


def sought_of(
    request: index_shard_service_pb2.SearchSegmentsRequest, version: Version, queries: int
) -> TextsSought:
    """Return what is sought in texts; InvalidInput where it cannot be, or beside several queries."""
    if queries > 1:
        raise InvalidInput(f"texts are sought beside {queries} queries; send one at most.", field="queries")
    sought = wire_texts.sought_from_pb(request.texts, version.texts.dim if version.texts else 0)
    check_size(queries + len(sought.channels) * 2, request.top_k)
    return sought


def check_size(queries: int, top_k: int) -> int:
    """Refuse (InvalidInput) what has no answer or one too large to send; return the number of queries."""
    if queries < 1 or top_k < 1:
        field = "top_k" if top_k < 1 else "queries"
        raise InvalidInput(f"{queries} queries and top_k {top_k}; both must be at least 1.", field=field)
    if queries * top_k > MAX_HITS:
        message = f"{queries} queries x top_k {top_k} make more than {MAX_HITS} hits: "
        raise InvalidInput(message + "send fewer queries at once or ask for fewer hits.", field="top_k")
    return queries
