"""A real ranker worker process that is given other versions, over gRPC."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest

from engine import faults, versions, wire
from engine.corpus import Corpus, open_corpus
from spr.internal.v1 import ranker_service_pb2, version_service_pb2
from spr.internal.v1.ranker_service_pb2_grpc import RankerServiceStub
from spr.internal.v1.version_service_pb2_grpc import VersionServiceStub
from tests.workers.ranker.factories import TEXTS, tiny_collection
from tests.workers.ranker.test_worker import encode, rank_request, start, stop


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[tuple[grpc.Channel, Corpus]]:
    made = tiny_collection(tmp_path / "collection", trained=True, contexts="float16")
    process, ready = start(tmp_path)
    assert ready["versions"] == [versions.current(made.directory)]
    with grpc.insecure_channel(ready["address"]) as channel:
        yield channel, open_corpus(made.directory)
    assert stop(process) == 0


def test_a_version_is_prepared_beside_another_and_dropped(worker: tuple[grpc.Channel, Corpus]) -> None:
    channel, before = worker
    stub = VersionServiceStub(channel)
    (entry,) = before.version.parts
    fewer = dataclasses.replace(entry, deleted=(1, 1))
    shard = dataclasses.replace(before.version.shards[0], videos=2, segments=11, parts=(fewer,))
    after = versions.commit(before.directory, versions.with_shards(before.version, [shard], "delete")).id
    request = version_service_pb2.PrepareVersionRequest(collection="default", version=after)
    with pytest.raises(grpc.RpcError) as caught:
        encode(channel, TEXTS[0], generation=after)
    assert faults.reason_of(caught.value) == "GENERATION_MISMATCH"
    done = stub.PrepareVersion(request, timeout=300)
    assert (done.parts_opened, done.parts_shared) == (0, 1)
    assert encode(channel, TEXTS[0], generation=after).generation == after
    answer = RankerServiceStub(channel).Rank(rank_request(channel), timeout=300)
    row = {"video_ordinals": wire.ints_to_bytes(np.array([1]))}
    row |= {
        "spans": wire.doubles_to_bytes(np.array([[0.0, 3.0]])),
        "scores": wire.floats_to_bytes(np.zeros(1)),
    }
    # "c" is video 2 of the one and video 1 of the other.
    found = RankerServiceStub(channel).Rank(rank_request(channel, generation=after, **row), timeout=300)
    assert (found.generation, answer.generation) == (after, before.id)
    assert found.relevances == answer.relevances[-4:]
    # Also in one message, beside one that is refused.
    asked = [rank_request(channel), rank_request(channel, generation=after, **row), rank_request(channel)]
    asked[2].generation = "00000009-000000000000"
    message = ranker_service_pb2.RankTogetherRequest(requests=asked)
    outcomes = RankerServiceStub(channel).RankTogether(message, timeout=300).outcomes
    assert [one.response.generation for one in outcomes] == [before.id, after, ""]
    assert [one.response.scores for one in outcomes] == [answer.scores, found.scores, b""]
    assert outcomes[2].status.code == grpc.StatusCode.FAILED_PRECONDITION.value[0]
    info = RankerServiceStub(channel).GetRankerInfo(ranker_service_pb2.GetRankerInfoRequest(), timeout=20)
    assert [(held.version, held.videos) for held in info.held] == [(before.id, 3), (after, 2)]
    stub.DropVersion(version_service_pb2.DropVersionRequest(collection="default", version=after), timeout=20)
    with pytest.raises(grpc.RpcError) as caught:
        RankerServiceStub(channel).Rank(rank_request(channel, generation=after, **row), timeout=300)
    assert faults.reason_of(caught.value) == "GENERATION_MISMATCH"
