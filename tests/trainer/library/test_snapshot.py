"""Snapshots go to a directory or a URL and come back, whole, and only what is missing is copied."""

import dataclasses
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine import parts, staging, versions
from engine.entries import ModelEntry
from engine.errors import InvalidInput, Mismatch, NotFound
from engine.places import open_place
from tests.trainer.generation.test_models import make_projector
from tests.trainer.library.tiny import living, two_versions, write_part, write_version
from trainer.library.restore import restore
from trainer.library.snapshot import snapshot
from trainer.library.verify import verify


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    return two_versions(tmp_path / "c")


@pytest.fixture(params=["directory", "memory"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "directory":
        yield str(tmp_path / "backup")
        return
    import fsspec

    files = fsspec.filesystem("memory")
    yield "memory://backup"
    files.rm("/backup", recursive=True)


def test_a_thrown_away_collection_comes_back(collection: Path, destination: str) -> None:
    made, _ = snapshot(collection, destination)
    shutil.rmtree(collection)
    found, copied = restore(collection, destination)
    assert living(collection) == ["a", "c", "d"]
    assert (found.parent, found.reason, found.videos, copied > 0) == ("", "restore", made.videos, True)
    assert versions.current(collection) == found.id
    assert verify(collection) == []


@pytest.mark.parametrize(("scheme", "library"), [("gs", "gcsfs"), ("az", "adlfs")])
def test_a_store_whose_library_is_absent_names_it(
    monkeypatch: pytest.MonkeyPatch, scheme: str, library: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InvalidInput, match=rf'pip install "spr-engine\[remote\]" {library}\.$'):
        open_place(f"{scheme}://bucket/c")


def test_only_what_is_missing_is_copied(collection: Path, destination: str) -> None:
    _, first = snapshot(collection, destination)
    _, again = snapshot(collection, destination)
    assert (first > 0, again) == (True, 0)
    entry = write_part(collection, ["e"])
    write_version(collection, [*versions.read(collection).parts, entry])
    _, third = snapshot(collection, destination)
    about, _ = parts.read(collection, entry.id)
    assert third == about.bytes
    target = collection.with_name("other")
    restore(target, destination)
    _, nothing = restore(target, destination)
    assert (living(target), nothing) == (["a", "c", "d", "e"], 0)


def test_a_snapshot_in_a_directory_is_a_collection(collection: Path, tmp_path: Path) -> None:
    made, _ = snapshot(collection, str(tmp_path / "backup"))
    assert versions.current(tmp_path / "backup") == made.id
    assert living(tmp_path / "backup") == ["a", "c", "d"]


def test_an_older_version_can_be_taken_and_brought_back(collection: Path, destination: str) -> None:
    snapshot(collection, destination, "1")
    snapshot(collection, destination)
    restore(collection, destination, "1")
    assert living(collection) == ["a", "b", "c"]


def test_what_comes_from_another_collection_takes_the_name_of_this_one(
    collection: Path, destination: str
) -> None:
    snapshot(collection, destination)
    about = versions.read(collection)
    made = versions.commit(collection, dataclasses.replace(about, collection="renamed", parent=about.id))
    versions.activate(collection, made.id)
    first, _ = restore(collection, destination)
    assert (first.collection, living(collection)) == ("renamed", ["a", "c", "d"])
    assert restore(collection, destination)[0].id == first.id


def test_a_damaged_part_is_replaced_from_a_snapshot(collection: Path, destination: str) -> None:
    made, _ = snapshot(collection, destination)
    # The bytes of a snapshot on the same disk may be the same: the bad file is another one.
    path = next((collection / parts.PARTS).glob("*/index/index.faiss"))
    good = path.read_bytes()
    path.unlink()
    path.write_bytes(b"\0" + good[1:])
    assert len(verify(collection)) == 1
    found, copied = restore(collection, destination)
    assert (found.id, copied > 0, verify(collection), path.read_bytes()) == (made.id, True, [], good)


def test_a_damaged_snapshot_is_refused_and_changes_nothing(collection: Path, tmp_path: Path) -> None:
    snapshot(collection, str(tmp_path / "backup"))
    path = next((tmp_path / "backup" / parts.PARTS).glob("*/index/index.faiss"))
    path.chmod(0o644)
    path.unlink()
    path.write_bytes(b"x")
    target = tmp_path / "new"
    with pytest.raises(Mismatch, match=re.escape(f"{path} has")):
        restore(target, str(tmp_path / "backup"))
    assert versions.newest(target) == ""
    assert not list((target / parts.PARTS).glob(f"{staging.TEMPORARY}*"))


def test_what_is_no_snapshot_is_refused(collection: Path, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="holds no snapshot"):
        restore(tmp_path / "new", str(tmp_path / "nothing"))
    with pytest.raises(InvalidInput, match="inside the collection"):
        snapshot(collection, str(collection / "backup"))
    with pytest.raises(InvalidInput, match="fsspec URL"):
        snapshot(collection, "nosuch://place")


@pytest.mark.parametrize("kept", [[1, 2], [3]], ids=["of one number", "without a common number"])
def test_two_collections_do_not_share_a_place(
    collection: Path, destination: str, tmp_path: Path, kept: list[int]
) -> None:
    made, _ = snapshot(collection, destination)
    other = tmp_path / "other"
    about = write_version(other, [write_part(other, ["x"])])
    for reason in ("again", "and again")[: kept[-1] - 1]:
        about = dataclasses.replace(about, collection="other", parent=about.id, reason=reason)
        about = versions.commit(other, about)
    for number in {1, 2} - set(kept):
        versions.path_of(other, versions.resolve(other, str(number))).unlink()
    with pytest.raises(InvalidInput, match="holds the collection 'tiny': snapshots of two collections"):
        snapshot(other, destination, about.id)
    assert open_place(destination).read(versions.CURRENT).decode().strip() == made.id


def test_a_place_is_its_own_after_the_version_there_is_gone_or_damaged(
    collection: Path, destination: str
) -> None:
    made, _ = snapshot(collection, destination)
    about = versions.commit(collection, dataclasses.replace(made, parent=made.id))
    versions.activate(collection, about.id)
    versions.path_of(collection, made.id).unlink()
    assert snapshot(collection, destination)[0] == about
    place = open_place(destination)
    for name, harmed in ((versions.CURRENT, b"\xff"), (f"{versions.VERSIONS}/{about.number:08d}.json", b"{")):
        place.write(name, harmed)
        assert snapshot(collection, destination)[0] == about
    assert place.read(versions.CURRENT).decode().strip() == about.id


def test_a_file_is_created_once(destination: str) -> None:
    place = open_place(destination)
    assert (place.create("a/b", b"1"), place.create("a/b", b"2"), place.read("a/b")) == (True, False, b"1")


@pytest.mark.parametrize("name", ["00000001.json", "part.json", "index.faiss", "catalog.sqlite"])
def test_verify_names_what_is_damaged(collection: Path, name: str) -> None:
    path = next(collection.rglob(name))
    path.chmod(0o644)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    said = verify(collection)
    assert len(said) == 1
    assert str(path) in said[0]


def test_verify_notices_that_current_names_nothing(collection: Path) -> None:
    (collection / "CURRENT").write_text("00000002-000000000000\n")
    assert "not 00000002-000000000000" in verify(collection)[0]


def test_verify_names_what_is_missing(collection: Path) -> None:
    path = next(collection.rglob("index.faiss"))
    path.unlink()
    assert verify(collection) == [f"{path} is missing: copy it again or run `spr build`."]


def test_what_is_kept_of_videos_comes_back(collection: Path, destination: str) -> None:
    names = ("pictures/a", "texts/b.json", "transcripts/c.vtt", "screen/d.vtt")
    for name in names:
        (collection / name).parent.mkdir()
        (collection / name).write_text(name)
    snapshot(collection, destination)
    shutil.rmtree(collection)
    restore(collection, destination)
    assert [(collection / name).read_text() for name in names] == list(names)


@pytest.fixture
def trained(collection: Path) -> tuple[Path, str, str]:
    """Where the collection's projectors are: that of its version, and one that was trained since."""
    old, new = make_projector(collection), make_projector(collection, dim=32)
    assert old != new
    about = versions.read(collection)
    made = dataclasses.replace(about, projector=ModelEntry(f"models/projector/{old}", old), parent=about.id)
    versions.activate(collection, versions.commit(collection, made).id)
    return collection / "models" / "projector", old, new


def test_the_model_that_the_next_build_takes_comes_back(
    collection: Path, trained: tuple[Path, str, str], destination: str
) -> None:
    home, _, new = trained
    before = (home / new / "config.json").read_bytes()
    snapshot(collection, destination)
    shutil.rmtree(collection)
    restore(collection, destination)
    assert (home / "CURRENT").read_text().strip() == new
    assert (home / new / "config.json").read_bytes() == before
    assert verify(collection) == []


@pytest.mark.parametrize("named", ["as it was", "../../..", ""])
def test_of_a_snapshot_without_that_model_the_next_build_takes_the_versions(
    collection: Path, trained: tuple[Path, str, str], tmp_path: Path, named: str
) -> None:
    home, old, new = trained
    snapshot(collection, str(tmp_path / "backup"))
    kept = tmp_path / "backup" / "models" / "projector"
    shutil.rmtree(kept / new)
    (kept / "CURRENT").write_text(new if named == "as it was" else named)
    shutil.rmtree(collection)
    restore(collection, str(tmp_path / "backup"))
    assert (home / "CURRENT").read_text().strip() == old
