"""Calls of an index worker's methods."""

from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from engine import faults, versions, wire
from engine.types import Hits
from spr.internal.v1 import index_shard_service_pb2 as pb
from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceStub
from spr.v1 import types_pb2
from tests.workers.index.corpora import videos

DIM = 16
VIDEOS = videos(30, DIM)
ONE = np.ones((1, DIM), np.float32)


def request(
    folder: Path, queries: np.ndarray, top_k: int = 5, shard: int = 0, **changes: Any
) -> pb.SearchSegmentsRequest:
    about = versions.read(folder / "collection")
    embedding = types_pb2.Embedding(
        tensor=wire.tensor_to_pb(queries), model_id=changes.pop("model_id", about.embedding_model)
    )
    name = f"shard-{shard:05d}"
    fields = {"shard": name, "generation": about.id, "queries": embedding, "top_k": top_k, **changes}
    return pb.SearchSegmentsRequest(**fields)


def ask(channel: grpc.Channel, message: pb.SearchSegmentsRequest, most: int = len(VIDEOS)) -> list[Hits]:
    response = IndexShardServiceStub(channel).SearchSegments(message, timeout=300)
    return wire.hits_from_pb(response, most)


def refusal(channel: grpc.Channel, message: pb.SearchSegmentsRequest, timeout: float = 20) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as caught:
        IndexShardServiceStub(channel).SearchSegments(message, timeout=timeout)
    error: Any = caught.value
    return error.code().name, faults.reason_of(error)
