import os
import threading
from pathlib import Path

import pytest

from engine.entries import FileEntry, Part
from engine.errors import Mismatch
from engine.verification import describe_files
from tests import plain
from workers import watch
from workers.watch import Watch

INDEX = "index/index.faiss"


def about(files: dict[str, FileEntry]) -> Part:
    return plain.part(files=files)


@pytest.fixture
def part(tmp_path: Path) -> Path:
    (tmp_path / "index").mkdir()
    (tmp_path / "catalog.sqlite").write_bytes(b"videos")
    (tmp_path / INDEX).write_bytes(b"vectors")
    return tmp_path


def watched(part: Path) -> Watch:
    files = describe_files(part, ["catalog.sqlite", INDEX])
    return Watch(part, about(files), list(files))


@pytest.mark.parametrize("content", [b"VECTORS", b"vec", b"", b"vectors and more"])
def test_a_file_that_is_written_over_is_named_at_the_next_answer(part: Path, content: bytes) -> None:
    seen = watched(part)
    seen.check()
    (part / INDEX).write_bytes(content)
    for _ in range(2):
        with pytest.raises(Mismatch, match=r"index\.faiss was changed while it is served") as caught:
            seen.check()
    assert caught.value.reason == "GENERATION_CORRUPT"
    assert "index.faiss was changed" in seen.fault


def test_what_changes_while_an_answer_is_made_keeps_it_back(part: Path) -> None:
    seen = watched(part)
    with seen.around():
        pass
    with pytest.raises(Mismatch), seen.around():
        (part / INDEX).write_bytes(b"VECTORS")
    with pytest.raises(Mismatch), seen.around():
        raise AssertionError("a damaged file was read")


def test_a_touched_file_is_hashed_once_and_served_on(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, hashed = watched(part), []
    checksum = watch._checksum

    def counted(handle: int) -> str:
        hashed.append(handle)
        return checksum(handle)

    monkeypatch.setattr(watch, "_checksum", counted)
    os.utime(part / INDEX, (1, 1))
    for _ in range(3):
        seen.check()
    assert len(hashed) == 1
    (part / INDEX).write_bytes(b"vectorz")
    with pytest.raises(Mismatch, match=r"index\.faiss"):
        seen.check()


def test_bytes_that_are_put_back_before_anyone_looks_do_no_harm(part: Path) -> None:
    seen = watched(part)
    (part / INDEX).write_bytes(b"v")
    (part / INDEX).write_bytes(b"vectors")
    seen.check()
    assert seen.fault == ""


def test_answers_wait_for_the_checksum_and_not_for_ever(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, hashing, go_on = watched(part), threading.Event(), threading.Event()
    checksum = watch._checksum

    def slow(handle: int) -> str:
        hashing.set()
        assert go_on.wait(60)
        return checksum(handle)

    monkeypatch.setattr(watch, "_checksum", slow)
    monkeypatch.setattr(watch, "PATIENCE", 0.01)
    os.utime(part / INDEX, (1, 1))
    first = threading.Thread(target=seen.check)
    first.start()
    assert hashing.wait(60)
    with pytest.raises(Mismatch, match="is being checked"):
        seen.check()
    go_on.set()
    first.join()
    seen.check()


def test_a_file_that_is_removed_or_replaced_by_name_is_still_what_is_open(part: Path) -> None:
    seen = watched(part)
    before = seen.on_disk()
    (part / "other").write_bytes(b"VECTORS")
    (part / "other").rename(part / INDEX)
    (part / "catalog.sqlite").unlink()
    seen.check()
    seen.scrub(1000)
    seen.check()
    assert seen.on_disk() != before


def test_bytes_that_changed_without_a_trace_are_found_by_their_checksum(
    part: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seen = watched(part)
    path = part / INDEX
    stamp = path.stat()
    path.write_bytes(b"vectorz")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    seen.check()
    for _ in range(20):
        seen.scrub(3)
    with pytest.raises(Mismatch, match=r"index\.faiss no longer has the checksum"):
        seen.check()
    (record,) = caplog.records
    assert record.__dict__["sound_seconds_ago"] >= 0


def test_a_whole_part_is_hashed_within_the_hour_and_a_small_one_within_a_minute(tmp_path: Path) -> None:
    def passes(size: int) -> float:
        (tmp_path / "file").write_bytes(b"")
        return size / Watch(tmp_path, about({"file": FileEntry("", size)}), ["file"])._rate

    assert passes(1 << 20) == pytest.approx(60)
    assert passes(1 << 33) < 3600
    assert passes(1 << 40) < 3600


def test_looking_hashes_what_is_due(part: Path) -> None:
    seen = watched(part)
    path = part / INDEX
    stamp = path.stat()
    path.write_bytes(b"vectorz")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    for _ in range(60):
        seen.look()
    assert "no longer has the checksum" in seen.fault


def test_the_files_close_with_the_watch(part: Path) -> None:
    def there() -> int:
        return sum(
            str(part) in os.readlink(one) for one in Path("/proc/self/fd").iterdir() if one.is_symlink()
        )

    seen = watched(part)
    assert there() == 2
    del seen
    assert there() == 0


def test_a_missing_file_is_refused_by_name(part: Path) -> None:
    files = describe_files(part, [INDEX])
    (part / INDEX).unlink()
    with pytest.raises(Mismatch, match=r"index\.faiss is missing"):
        Watch(part, about(files), [INDEX])


def test_what_nobody_has_hashed_is_hashed_first_and_soon(part: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = describe_files(part, ["catalog.sqlite", INDEX])
    (part / INDEX).write_bytes(b"VECTORS")
    monkeypatch.setattr(watch, "FIRST_RATE", 4 * watch.SLICES)
    seen = Watch(part, about(files), list(files), unseen=[INDEX])
    # Seven bytes and their end, four at a time.
    seen.begin()
    assert not seen.fault
    seen.begin()
    assert "index.faiss no longer has the checksum" in seen.fault
