"""All ports of a running service, the methods that each says it has, and right requests for them."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message import Message
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from engine import versions, wire
from engine.config import Topology
from engine.entries import Version
from spr.internal.v1 import (
    encoder_service_pb2,
    encoder_service_pb2_grpc,
    index_shard_service_pb2,
    library_service_pb2,
    ranker_service_pb2,
    version_service_pb2,
)
from spr.v1 import admin_service_pb2 as admin_pb
from spr.v1 import feedback_service_pb2 as feedback_pb
from spr.v1 import search_service_pb2, types_pb2
from spr.v1 import standing_service_pb2 as standing_pb
from tests.workers.ranker.factories import TEXTS


@dataclass(frozen=True)
class Port:
    """Where services listen: their names as reflection tells them. right: requests by message's full name."""

    address: str
    channel: grpc.Channel
    services: Sequence[str]
    right: Mapping[str, Sequence[Message]] = field(default_factory=dict)

    def methods(self) -> list[MethodDescriptor]:
        pool = descriptor_pool.Default()
        return [one for name in self.services for one in pool.FindServiceByName(name).methods]


@contextlib.contextmanager
def ports_of(topology: Topology, folder: Path) -> Iterator[list[Port]]:
    """Yield all ports of a running service. folder: an empty one, for what a job may write."""
    version = versions.read(topology.collection)
    addresses = [topology.coordinator.listen, topology.coordinator.admin, topology.ranker[0].target]
    addresses += [index.target for index in topology.index]
    addresses += [topology.library.target] if topology.library else []
    with contextlib.ExitStack() as stack:
        channels = [stack.enter_context(grpc.insecure_channel(address)) for address in addresses]
        right = _right(channels[2], version, folder)
        ports = []
        for channel, address in zip(channels, addresses, strict=True):
            names = ProtoReflectionDescriptorDatabase(channel).get_services()
            shards = [index.name for index in topology.index if index.target == address]
            mine = {one: [_of_shard(r, shards) for r in messages] for one, messages in right.items()}
            ports.append(Port(address, channel, names, mine))
        yield ports


def may_be_mutated(message: Message) -> bool:
    """Whether any change of a message's bytes is harmless: a path in it could become another one."""
    told = str(message)
    return not any(name in told for name in ("paths:", "destination:", "source:"))


def _right(ranker: grpc.Channel, version: Version, folder: Path) -> dict[str, list[Message]]:
    encode = encoder_service_pb2.EncodeRequest(
        text=TEXTS[0], generation=version.id, embedding_model=version.embedding_model
    )
    encoded = encoder_service_pb2_grpc.EncoderServiceStub(ranker).Encode(encode, timeout=60)
    messages = [
        encode,
        _rank(encoded, version),
        _search_segments(encoded, version),
        *_searches(encoded, version),
        *_jobs(folder),
        *_judged(version),
        _encode_examples(version),
        admin_pb.GetStatusRequest(collection=version.collection),
        admin_pb.ListVersionsRequest(collection=version.collection),
        admin_pb.ActivateVersionRequest(version=version.id),
        admin_pb.ActivateVersionRequest(version=str(version.number), prepare_only=True),
        admin_pb.ListJobsRequest(page_size=3),
        # Not the version that is served: what is dropped is not served for a while.
        version_service_pb2.DropVersionRequest(version="00000009-000000000000"),
        version_service_pb2.PrepareVersionRequest(collection=version.collection, version=version.id),
        library_service_pb2.WatchCurrentRequest(collection=version.collection),
        health_pb2.HealthCheckRequest(service="spr.v1.SearchService"),
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol="spr.v1.SearchService"),
    ]
    found: dict[str, list[Message]] = {}
    for message in messages:
        found.setdefault(message.DESCRIPTOR.full_name, []).append(message)
    return found


def _searches(encoded: Any, version: Version) -> list[Message]:
    params = search_service_pb2.SearchParams(segment_top_k=50, nms_iou=0.5, min_coverage=0.5)
    params.proposal_rule.constant_gap = 2
    wanted = search_service_pb2.Filter(folder="videos", no_labels=["x"])
    wanted.share.start = 0.25
    searches = [
        search_service_pb2.SearchRequest(text=TEXTS[0], page_size=2, request_id="fuzz", params=params),
        search_service_pb2.SearchRequest(text=TEXTS[0], filter=wanted),
        search_service_pb2.SearchRequest(
            text=TEXTS[0],
            params=search_service_pb2.SearchParams(channels=[types_pb2.CHANNEL_SEEN, types_pb2.CHANNEL_SAID]),
        ),
        search_service_pb2.SearchRequest(text="what is red, not at night?", interpret=True),
        search_service_pb2.SearchRequest(
            composed=search_service_pb2.ComposedQuery(
                parts=[
                    search_service_pb2.QueryPart(text=TEXTS[0], not_texts=[TEXTS[1]]),
                    search_service_pb2.QueryPart(text=TEXTS[1]),
                ]
            )
        ),
        search_service_pb2.SearchRequest(embedding=encoded.embedding, version=str(version.number)),
    ]
    listing = search_service_pb2.ListVideosRequest(filter=wanted, page_size=2)
    return [*searches, search_service_pb2.BatchSearchRequest(requests=searches), listing]


def _judged(version: Version) -> list[Message]:
    """Return judgements and standing searches that are refused: no id and no search is of this collection."""
    judgement = feedback_pb.Judgement(query=TEXTS[0], video_id="no video", grade=3)
    judgement.span.end_offset.seconds = 2
    search = standing_pb.StandingSearch(collection=version.collection, text=TEXTS[0], precision=0.9)
    return [
        feedback_pb.RecordJudgementsRequest(judgements=[judgement]),
        feedback_pb.ListJudgementsRequest(query=TEXTS[0], page_size=3),
        feedback_pb.DeleteJudgementsRequest(ids=["none"]),
        standing_pb.CreateStandingSearchRequest(standing_search=search),
        standing_pb.ListStandingSearchesRequest(collection=version.collection),
        standing_pb.DeleteStandingSearchRequest(id="none"),
    ]


def _encode_examples(version: Version) -> Message:
    request = encoder_service_pb2.EncodeExamplesRequest(
        generation=version.id, embedding_model=version.embedding_model
    )
    request.examples.add().span.end = 2.0
    return request


def _jobs(folder: Path) -> list[Message]:
    """Return jobs that change nothing of a collection."""
    jobs = [
        admin_pb.SubmitJobRequest(add=admin_pb.AddVideos(paths=[f"{folder}/none.mp4"])),
        admin_pb.SubmitJobRequest(delete=admin_pb.DeleteVideos(video_ids=["no video"], purge=True)),
        admin_pb.SubmitJobRequest(compact=admin_pb.Compact()),
        admin_pb.SubmitJobRequest(snapshot=admin_pb.Snapshot(destination=f"{folder}/copy")),
        admin_pb.SubmitJobRequest(restore=admin_pb.Restore(source=f"{folder}/none")),
        admin_pb.SubmitJobRequest(verify=admin_pb.Verify(), request_id="verify"),
        admin_pb.SubmitJobRequest(collect_garbage=admin_pb.CollectGarbage(keep=2)),
    ]
    submits = [library_service_pb2.SubmitRequest(job=job) for job in jobs]
    asked = library_service_pb2.ListRequest(jobs=admin_pb.ListJobsRequest(request_id="verify"))
    return [*jobs, *submits, asked]


def _rank(encoded: Any, version: Version) -> Message:
    return ranker_service_pb2.RankRequest(
        generation=version.id,
        embedding_model=version.embedding_model,
        token_states=encoded.token_states,
        text_embedding=encoded.text_embedding,
        video_ordinals=wire.ints_to_bytes(np.arange(3)),
        spans=wire.doubles_to_bytes(np.array([[8.0, 16.0], [4.0, 8.0], [0.0, 3.0]])),
        scores=wire.floats_to_bytes(np.ones(3)),
        texts=wire.floats_to_bytes(np.ones(12)),
    )


def _search_segments(encoded: Any, version: Version) -> Message:
    row = wire.tensor_from_pb(encoded.embedding.tensor, [version.dim], "embedding")[None]
    vectors = types_pb2.Embedding(tensor=wire.tensor_to_pb(row), model_id=version.embedding_model)
    return index_shard_service_pb2.SearchSegmentsRequest(
        generation=version.id,
        queries=vectors,
        top_k=5,
        allowed=index_shard_service_pb2.Allowed(bitmap=b"\x05", end=9.0),
        texts=index_shard_service_pb2.TextQuery(
            channels=[types_pb2.CHANNEL_SAID, types_pb2.CHANNEL_WRITTEN], text=TEXTS[0]
        ),
    )


def _of_shard(message: Message, shards: Sequence[str]) -> Message:
    """Return a request with the name of the shard that is asked, if it takes one."""
    if shards and isinstance(message, index_shard_service_pb2.SearchSegmentsRequest):
        named = index_shard_service_pb2.SearchSegmentsRequest(shard=shards[0])
        named.MergeFrom(message)
        return named
    return message
