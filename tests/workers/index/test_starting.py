"""What an index worker refuses to serve, and what it stops serving until it is healed."""

import os
import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine import wire
from spr.internal.v1 import index_shard_service_pb2 as pb
from spr.internal.v1.index_shard_service_pb2_grpc import IndexShardServiceStub
from tests.workers.index.asking import ONE, VIDEOS, ask, refusal, request
from tests.workers.index.corpora import file_of
from tests.workers.index.factories import pairs
from tests.workers.index.running import start, stop

CORRUPT = ("FAILED_PRECONDITION", "GENERATION_CORRUPT")
SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder / "collection", tmp_path / "collection")
    return tmp_path


def refused(folder: Path, name: str, code: int) -> str:
    process, said = start(folder, name)
    assert process.wait(timeout=300) == code
    process.stdout.close()
    assert said["ready"] is False
    return str(said["error"])


@pytest.mark.parametrize("name", ["index.faiss", "segment_videos.npy", "segment_offsets.npy"])
def test_a_corrupted_file_is_refused_by_name(copied: Path, name: str) -> None:
    path = file_of(copied / "collection", name, 1)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    said = refused(copied, "shard-00000", 3)
    assert str(path) in said
    assert "spr build" in said


def test_the_damage_of_another_shard_does_no_harm(copied: Path) -> None:
    file_of(copied / "collection", "index.faiss", 0).unlink()
    process, said = start(copied, "shard-00001")
    assert said["ready"] is True
    assert stop(process) == 0


def test_a_shard_the_version_has_not_is_refused(folder: Path) -> None:
    assert "only shard-00000, shard-00001" in refused(folder, "shard-00007", 2)


def test_a_file_that_changes_while_it_is_served_is_answered_from_no_more_until_it_is_restored(
    copied: Path,
) -> None:
    path = file_of(copied / "collection", "index.faiss")
    content = path.read_bytes()
    process, said = start(copied, "shard-00000")
    assert said["ready"] is True
    message = request(copied, ONE)
    with grpc.insecure_channel(said["address"]) as channel:
        before = [pairs(hits) for hits in ask(channel, message)]
        health: Any = health_pb2_grpc.HealthStub(channel)
        question = health_pb2.HealthCheckRequest(service="spr.internal.v1.IndexShardService")
        states = (answer.status for answer in health.Watch(question, timeout=300))
        assert next(states) == SERVING
        with path.open("r+b") as file:
            file.seek(len(content) // 2)
            file.write(b"\xff" * 64)
        assert refusal(channel, message) == CORRUPT
        assert next(states) == NOT_SERVING
        info = IndexShardServiceStub(channel).GetShardInfo(pb.GetShardInfoRequest(), timeout=300)
        assert "index.faiss was changed while it is served" in info.held[0].fault
        path.write_bytes(content)
        assert next(states) == SERVING
        assert [pairs(hits) for hits in ask(channel, message)] == before
    assert stop(process) == 0
    log = (copied / "shard-00000.jsonl").read_text()
    assert "index.faiss was changed while it is served" in log
    assert f'"version": "{message.generation}"' in log


def test_a_file_that_is_cut_under_searches_gives_no_wrong_answer(copied: Path) -> None:
    """A search that reads a cut map is killed with its process; whatever comes first, nothing is answered."""
    process, said = start(copied, "shard-00000")
    message = request(copied, ONE)
    with grpc.insecure_channel(said["address"]) as channel:
        right = [pairs(hits) for hits in ask(channel, message)]
        search = IndexShardServiceStub(channel).SearchSegments
        calls = [search.future(message, timeout=300) for _ in range(20)]
        os.truncate(file_of(copied / "collection", "index.faiss"), 100)
        calls += [search.future(message, timeout=300) for _ in range(5)]
        answered = [call.result() for call in calls if call.code() == grpc.StatusCode.OK]
        assert all([pairs(hits) for hits in wire.hits_from_pb(one, len(VIDEOS))] == right for one in answered)
        assert calls[-1].code() in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAVAILABLE)
    process.kill()
    process.wait(timeout=300)
    process.stdout.close()
    assert "index.faiss" in refused(copied, "shard-00000", 3)
