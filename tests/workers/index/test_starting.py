"""What an index worker refuses to serve, and what it stops serving."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from engine import manifest
from tests.workers.index.asking import ONE, ask, refusal, request
from tests.workers.index.running import start, stop


@pytest.mark.parametrize("name", ["index.faiss", "segment_videos.npy", "segment_offsets.npy"])
def test_a_corrupted_file_is_refused_by_name(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(folder / "collection", tmp_path / "collection")
    path = manifest.current(tmp_path / "collection") / "shard-00000" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    process, said = start(tmp_path, "shard-00000")
    assert process.wait(timeout=300) == 3
    assert process.stdout is not None
    process.stdout.close()
    assert said["ready"] is False
    assert f"shard-00000/{name}" in said["error"]
    assert "spr build" in said["error"]


def test_the_damage_of_another_shard_does_no_harm(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "collection", tmp_path / "collection")
    (manifest.current(tmp_path / "collection") / "shard-00000" / "index.faiss").unlink()
    process, said = start(tmp_path, "shard-00001")
    assert said["ready"] is True
    assert stop(process) == 0


def test_a_shard_the_generation_has_not_is_refused(folder: Path) -> None:
    process, said = start(folder, "shard-00007")
    assert process.wait(timeout=300) == 2
    assert process.stdout is not None
    process.stdout.close()
    assert "only shard-00000, shard-00001" in said["error"]


def test_a_manifest_of_another_width_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "collection", tmp_path / "collection")
    generation = manifest.current(tmp_path / "collection")
    wrong = manifest.write(generation, dataclasses.replace(manifest.read(generation), dim=99))
    generation.rename(generation.with_name(wrong.id))
    (tmp_path / "collection" / "CURRENT").write_text(wrong.id)
    process, said = start(tmp_path, "shard-00000")
    assert process.wait(timeout=300) == 3
    assert process.stdout is not None
    process.stdout.close()
    assert "of width 16, the manifest says" in said["error"]


def test_a_file_that_changes_while_it_is_served_is_answered_from_no_more(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copytree(folder / "collection", tmp_path / "collection")
    path = manifest.current(tmp_path / "collection") / "shard-00000" / "index.faiss"
    process, said = start(tmp_path, "shard-00000")
    assert said["ready"] is True
    message = request(tmp_path, ONE)
    with grpc.insecure_channel(said["address"]) as channel:
        assert ask(channel, message)
        path.chmod(0o644)
        with path.open("r+b") as file:
            file.seek(path.stat().st_size // 2)
            file.write(b"\xff" * 64)
        assert refusal(channel, message) == ("FAILED_PRECONDITION", "GENERATION_CORRUPT")
        stub: Any = health_pb2_grpc.HealthStub(channel)
        question = health_pb2.HealthCheckRequest(service="spr.internal.v1.IndexShardService")
        states = (answer.status for answer in stub.Watch(question, timeout=20))
        assert health_pb2.HealthCheckResponse.NOT_SERVING in states
    assert stop(process) == 0
    assert "index.faiss was changed while it is served" in (tmp_path / "shard-00000.jsonl").read_text()
