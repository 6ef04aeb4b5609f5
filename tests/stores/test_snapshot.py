"""Snapshots in object storage: S3's protocol, spoken by s3fs to a server in this process."""

import shutil
from pathlib import Path

import pytest

from engine.errors import Unavailable
from engine.places import open_place
from engine.urls import told
from tests.trainer.library.tiny import living, write_part, write_version
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot


def test_a_snapshot_goes_to_s3_and_comes_back(url: str, tmp_path: Path) -> None:
    home = tmp_path / "c"
    home.mkdir()
    (home / "collection.json").write_text('{"name": "tiny", "format": 1}')
    first = write_part(home, ["a", "b"])
    write_version(home, [first])
    assert snapshot(home, url)[1] > 0
    assert snapshot(home, url)[1] == 0
    write_version(home, [first, write_part(home, ["c"])])
    snapshot(home, url)
    shutil.rmtree(home)
    restore(home, url)
    assert living(home) == ["a", "b", "c"]
    assert restore(home, url)[1] == 0


def test_of_two_writers_one_wins(url: str) -> None:
    place = open_place(url)
    written = place.create("versions/1.json", b"1"), place.create("versions/1.json", b"2")
    assert (written, place.read("versions/1.json")) == ((True, False), b"1")


def test_without_credentials_the_sentence_asks_for_some() -> None:
    with pytest.raises(Unavailable, match="give some as the store's library reads them"), told("s3://b"):
        raise RuntimeError("Unable to locate credentials")
