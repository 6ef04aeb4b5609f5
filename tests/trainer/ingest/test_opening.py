"""What is refused before any work, and what a failed ingest leaves behind."""

import tempfile
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

import pytest

from engine.errors import InvalidInput, Mismatch, NotFound, Unavailable
from tests.trainer.ingest.factories import regular, write_video
from tests.trainer.ingest.levels import Levels, run
from trainer.collection.places import features_directory
from trainer.ingest.opening import check
from workers.feature_store.store import FeatureStore, Stream

ONE = Fraction(1)


def test_what_cannot_be_is_refused_at_once(tmp_path: Path) -> None:
    video = tmp_path / "v.mp4"
    video.touch()
    with pytest.raises(InvalidInput, match="--fps 0 is not between 1e-06 and 60"):
        check([video], tmp_path / "c", Fraction(0))
    for rate in (Fraction(10) ** 400, Fraction(10) ** -400):
        with pytest.raises(InvalidInput, match="is not between 1e-06 and 60"):
            check([video], tmp_path / "c", rate)
    with pytest.raises(NotFound, match=r"nowhere, .*nothing: no such file or folder"):
        check([tmp_path / "nowhere", tmp_path / "nothing"], tmp_path / "c", ONE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"there is no video in .*empty"):
        check([tmp_path / "empty"], tmp_path / "c", ONE)
    (tmp_path / "empty" / "a.mp4.part").touch()
    with pytest.raises(NotFound, match=r"a\.mp4\.part: its name is that of a download"):
        check([tmp_path / "empty"], tmp_path / "c", ONE)
    with pytest.raises(Unavailable, match=r"v\.mp4 cannot be written \(Not a directory\)"):
        check([video], video / "c", ONE)
    assert not (tmp_path / "c").exists()
    assert check([video, tmp_path / "nowhere"], tmp_path / "c", ONE).found


@pytest.mark.parametrize("content", [b"", b"null", b"\xff", b"[" * 100_000, b'{"format": 2}'])
def test_a_collection_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "collection.json").write_bytes(content)
    (tmp_path / "v.mp4").touch()
    with pytest.raises(Mismatch, match=r"collection\.json (is damaged|has format 2)"):
        check([tmp_path / "v.mp4"], tmp_path, ONE)


def test_a_directory_that_cannot_be_written_is_a_sentence(tmp_path: Path, plain_user: None) -> None:
    video = write_video(tmp_path / "v.mp4", regular(1, 10))
    for existing in (False, True):
        home = tmp_path / str(existing)
        home.mkdir()
        if existing:
            (home / "collection.json").write_text('{"name": "default", "format": 1}')
        home.chmod(0o500)
        with pytest.raises(Unavailable, match=r"cannot be written \(Permission denied\); make it writable"):
            check([video], home if existing else home / "c", ONE)
        home.chmod(0o700)


def test_an_ingest_of_nothing_leaves_no_store(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").touch()
    assert len(run(tmp_path).failed) == 1
    assert not list((tmp_path / "c" / "features").iterdir())
    with pytest.raises(NotFound, match="holds no features"):
        features_directory(tmp_path / "c")


def test_a_store_that_has_lost_its_header_is_named(tmp_path: Path) -> None:
    write_video(tmp_path / "videos" / "a.mp4", regular(1, 10))
    run(tmp_path)
    (header,) = (tmp_path / "c" / "features").glob("*/store.json")
    header.unlink()
    with pytest.raises(Mismatch, match=f"{header} is missing, .*: restore it"):
        features_directory(tmp_path / "c")


def test_a_store_of_nothing_does_not_count_and_others_are_told_apart(tmp_path: Path) -> None:
    write_video(tmp_path / "videos" / "a.mp4", regular(1, 10))
    run(tmp_path)
    streams = {"frames": Stream(2, 1.0)}
    FeatureStore.create(tmp_path / "c" / "features" / "fedcba9876543210", streams).close()
    assert features_directory(tmp_path / "c").name == Levels.fingerprint
    with FeatureStore.ensure(
        tmp_path / "c" / "features" / "fedcba9876543210", streams, meta={"encoder": "clip-b32"}
    ) as store:
        store.append("a", {})
        store.append("b", {})
    with pytest.raises(InvalidInput, match=r"levels, 1 video\) or fedcba9876543210 \(clip-b32, 2 videos\)"):
        features_directory(tmp_path / "c")


def test_a_full_disk_is_told_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> NoReturn:
        raise OSError(28, "No space left on device")

    video = write_video(tmp_path / "v.mp4", regular(1, 10))
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(Unavailable, match=r"cannot be written .*: make room") as told:
        check([video], tmp_path / "c", ONE)
    assert told.value.reason == "DISK_FULL"
