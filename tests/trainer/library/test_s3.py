"""Snapshots in object storage: S3's protocol, spoken by s3fs to a server in this process."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.trainer.library.tiny import living, write_part, write_version
from trainer.library.places import open_place
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot

s3fs = pytest.importorskip("s3fs", reason="needs the remote extra")
moto = pytest.importorskip("moto.server", reason="needs moto[server]")


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    s3fs.S3FileSystem.clear_instance_cache()
    name = tmp_path.name.replace("_", "-")
    s3fs.S3FileSystem().mkdir(name)
    yield f"s3://{name}/c"
    s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def test_a_snapshot_goes_to_s3_and_comes_back(bucket: str, tmp_path: Path) -> None:
    home = tmp_path / "c"
    home.mkdir()
    (home / "collection.json").write_text('{"name": "tiny", "format": 1}')
    first = write_part(home, ["a", "b"])
    write_version(home, [first])
    assert snapshot(home, bucket)[1] > 0
    assert snapshot(home, bucket)[1] == 0
    write_version(home, [first, write_part(home, ["c"])])
    snapshot(home, bucket)
    shutil.rmtree(home)
    restore(home, bucket)
    assert living(home) == ["a", "b", "c"]
    assert restore(home, bucket)[1] == 0


def test_of_two_writers_one_wins(bucket: str) -> None:
    place = open_place(bucket)
    written = place.create("versions/1.json", b"1"), place.create("versions/1.json", b"2")
    assert (written, place.read("versions/1.json")) == ((True, False), b"1")
