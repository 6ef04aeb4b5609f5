"""Ids, headers and files that a store refuses are a sentence each."""

import json
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from engine.errors import InvalidInput, Mismatch, SprError, Unavailable
from tests.workers.feature_store.stores import FILES, STREAMS, as_format_1, check, rows, three
from workers.feature_store.format import told
from workers.feature_store.locking import Locked, lock
from workers.feature_store.store import FeatureStore


@pytest.mark.parametrize(
    ("video", "reason"),
    [
        ("", "it is empty"),
        ("..", "it reads as a path to somewhere else"),
        ("../../x", "it reads as a path to somewhere else"),
        ("a/../b", "it reads as a path to somewhere else"),
        ("/abs/x", "it reads as a path to somewhere else"),
        ("nul\0", "it has control characters"),
        ("esc\x1b[31m", "it has control characters"),
        ("two\nlines", "it has control characters"),
        ("half\udce9", "it has control characters"),
        ("x" * 1001, "it has more than 1000 bytes"),
    ],
)
def test_ids_are_checked_at_the_door(tmp_path: Path, video: str, reason: str) -> None:
    path = tmp_path / "s"
    with FeatureStore.create(path, STREAMS) as store:
        store.append("a", rows(1))
        with pytest.raises(InvalidInput, match=reason):
            store.append(video, rows(1))
        if video:
            with pytest.raises(InvalidInput, match=reason):
                store.revise("a", uri="", info={}, rename=video)
        check(store, {"a": rows(1)})
    as_format_1(path)
    journal = path / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"a"', json.dumps(video).encode()))
    if "control" not in reason:
        with pytest.raises(Mismatch, match=reason):
            FeatureStore.open(path)


@pytest.mark.parametrize(
    "video", ["Cooking pasta [dQw4w9WgXcQ]", "b/x", "...and more", "a..b", "映画 1", " ", "-"]
)
def test_odd_names_are_ids(tmp_path: Path, video: str) -> None:
    with FeatureStore.create(tmp_path / "s", STREAMS) as store:
        store.append(video, rows(1))
    check(FeatureStore.open(tmp_path / "s"), {video: rows(1)})


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe{",
        b"null",
        b"[]",
        b"[" * 100_000,
        b'{"format": 2}',
        b'{"format": 2, "dtype": "floaf16", "streams": {}, "meta": {}}',
        b'{"format": 2, "dtype": [], "streams": {}, "meta": {}}',
        b'{"format": 2, "dtype": "float16", "streams": {"frames": {"dim": 0, "step": 1}}, "meta": {}}',
        b'{"format": 2, "dtype": "float16", "streams": {"frames": {"dim": 1e400, "step": 1}}, "meta": {}}',
        b'{"format": 2, "dtype": "float16", "streams": {"frames": 7}, "meta": {}}',
        b'{"format": 2, "dtype": "float16", "streams": {}, "meta": 7}',
    ],
)
def test_a_damaged_header_is_a_sentence(tmp_path: Path, content: bytes) -> None:
    three(tmp_path / "s")
    (tmp_path / "s" / "store.json").write_bytes(content)
    for mode in ("r", "a"):
        with pytest.raises(Mismatch, match=r"store\.json is damaged.*; restore it from a backup"):
            FeatureStore.open(tmp_path / "s", mode)


def test_files_that_cannot_be_read_or_written_are_a_sentence(tmp_path: Path, plain_user: None) -> None:
    for name in ("store.json", "journal.jsonl"):
        path = tmp_path / name / "s"
        three(path)
        (path / name).chmod(0)
        with pytest.raises(SprError, match=rf"{name} cannot be (read|used) \(Permission denied\)"):
            FeatureStore.open(path)
        (path / name).unlink()
        (path / name).mkdir()
        with pytest.raises(SprError, match=rf"{name} cannot be (read|used) \(Is a directory\)"):
            FeatureStore.open(path)
    three(tmp_path / "s")
    (tmp_path / "s" / "lock").chmod(0)
    with pytest.raises(Unavailable, match=r"lock cannot be written \(Permission denied\); make it writable"):
        FeatureStore.open(tmp_path / "s", "a")
    tmp_path.chmod(0o500)
    with pytest.raises(Unavailable, match=r"new cannot be written \(Permission denied\)"):
        FeatureStore.create(tmp_path / "new", STREAMS)
    tmp_path.chmod(0o700)


def test_a_line_that_is_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    three(path)
    # With the right checksum: a stranger can compute one too.
    body = b'{"n": 0, "id": ' + b"[" * 100_000 + b"]" * 100_000
    for file in FILES:
        (path / file).write_bytes(body + b', "crc": "%08x"}\n' % zlib.crc32(body))
    for mode in ("r", "a"):
        with pytest.raises(Mismatch, match="is damaged"):
            FeatureStore.open(path, mode)


def test_a_lock_is_waited_for_until_its_holder_is_gone(tmp_path: Path) -> None:
    held = lock(tmp_path / "s", new=True)
    with pytest.raises(Locked, match="another process is writing") as refused:
        lock(tmp_path / "s")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(refused.value.wait, 60)
        with pytest.raises(TimeoutError):
            waiting.result(0.02)
        held.close()
        waiting.result(30)
    lock(tmp_path / "s").close()


def test_a_full_disk_is_told_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"store\.json cannot be written \(No space left.*\): make room"):
        with told(tmp_path / "store.json", "written"):
            raise OSError(28, "No space left on device")
