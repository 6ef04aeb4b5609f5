"""A snapshot in a directory that others write too, and a check beside a garbage collection."""

import errno
import fcntl
import os
from pathlib import Path
from typing import Any

import pytest

from engine import parts, versions
from engine.errors import InvalidInput, Unavailable
from engine.partials import partial_of
from engine.staging import remove
from engine.version_lock import only_writer
from spr.v1.admin_service_pb2 import Snapshot, SubmitJobRequest
from tests.trainer.library.tiny import two_versions, write_version
from trainer.generation.garbage import collect_garbage
from trainer.library.contents import Item, items_of
from trainer.library.kits import Kits
from trainer.library.roots import Roots
from trainer.library.snapshot import snapshot
from trainer.library.tasks import Task
from trainer.library.verify import verify
from trainer.library.work import Work


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return two_versions(tmp_path / "c")


def test_what_is_being_copied_is_no_garbage_of_the_snapshot(collection: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    snapshot(collection, str(backup), "1")
    refused = list[str]()

    def collect(*_: object) -> None:
        try:
            with only_writer(backup, "gc", 0):
                collect_garbage(backup, 1)
        except Unavailable as error:
            refused.append(error.reason)

    made, _ = snapshot(collection, str(backup), on_progress=collect)
    assert set(refused) == {"WRITER_RUNNING"}
    assert verify(backup) == []
    collect()
    assert versions.current(backup) == made.id


def test_what_goes_as_garbage_while_all_is_verified_is_not_missing(collection: Path) -> None:
    first, second = (versions.read(collection, number) for number in "12")
    alone = write_version(collection, second.parts[1:], parent=second.id)
    went = list[str]()

    def collect(*_: object) -> None:
        with only_writer(collection, "gc", 0):
            went.extend(collect_garbage(collection, 1).parts)

    assert verify(collection, collect) == []
    assert went == [part.id for part in first.parts]
    # What the version that is left lists is.
    remove(collection, alone.parts[0].id)
    assert len(verify(collection)) == 1


def test_what_goes_with_its_video_during_a_snapshot_is_left_out(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [collection / folder / name for folder in ("pictures", "transcripts") for name in ("a", "b.vtt")]
    for path in files:
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")

    def listed(*of: Any) -> list[Item]:
        found = items_of(*of)
        for path in files[1:]:
            path.unlink()
        return found

    monkeypatch.setattr("trainer.library.snapshot.items_of", listed)
    snapshot(collection, str(tmp_path / "backup"))
    kept = [path.name for path in (tmp_path / "backup").rglob("*") if path.parent.name in ("pictures",)]
    assert (kept, verify(tmp_path / "backup")) == (["a"], [])


def test_a_share_without_locks_takes_snapshots(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without)
    snapshot(collection, str(tmp_path / "backup"))
    assert verify(tmp_path / "backup") == []


def test_what_a_killed_snapshot_left_goes_with_the_next(collection: Path, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    made, _ = snapshot(collection, str(backup))
    left = partial_of(parts.directory(backup, made.parts[0].id) / "index" / "index.faiss")
    left.parent.mkdir(exist_ok=True)
    left.write_text("half of it")
    snapshot(collection, str(backup))
    assert not left.exists()


@pytest.mark.parametrize("place", ["{0}", "{0}/inside", "file://{0}", "file://{0}/inside"])
def test_a_snapshot_lies_apart(collection: Path, place: str) -> None:
    with pytest.raises(InvalidInput, match="lies inside the collection"):
        snapshot(collection, place.format(collection))


def test_the_library_does_other_jobs_where_another_process_writes_the_place(
    collection: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("engine.version_lock.time.sleep", wait)
    request = SubmitJobRequest(snapshot=Snapshot(destination=str(tmp_path / "backup")))
    work, task = Work(Kits("cpu"), 10, Roots(None)), Task(1, "a", "snapshot", request)
    (tmp_path / "backup").mkdir()
    with only_writer(tmp_path / "backup"), pytest.raises(Unavailable, match="another process writes"):
        work.do(collection, [task], lambda _: None)


@pytest.mark.parametrize("damaged", ["c", "backup"])
def test_a_directory_in_the_place_of_a_file_is_named(collection: Path, tmp_path: Path, damaged: str) -> None:
    backup, file = tmp_path / "backup", tmp_path / damaged / "collection.json"
    snapshot(collection, str(backup))
    (collection / "collection.json").write_text("{}")
    file.unlink(missing_ok=True)
    file.mkdir()
    with pytest.raises(InvalidInput, match=f"^{file} cannot be used"):
        snapshot(collection, str(backup))
