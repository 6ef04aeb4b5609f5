import os
import threading
from pathlib import Path

import pytest
from engine.manifest import Manifest

from engine import manifest
from engine.errors import Mismatch
from tests.engine.test_manifest import describe, named
from workers import watch
from workers.watch import Watch

NAME = "shard-00000/index.faiss"


@pytest.fixture
def generation(tmp_path: Path) -> Path:
    folder = tmp_path / "generations" / "building"
    (folder / "shard-00000").mkdir(parents=True)
    (folder / "catalog.sqlite").write_bytes(b"videos")
    (folder / NAME).write_bytes(b"vectors")
    return named(folder, describe(folder))


def watched(generation: Path) -> tuple[Watch, Manifest]:
    about = manifest.read(generation)
    return Watch(generation, about, list(about.files)), about


@pytest.mark.parametrize("content", [b"VECTORS", b"vec", b"", b"vectors and more"])
def test_a_file_that_is_written_over_is_named_at_the_next_answer(generation: Path, content: bytes) -> None:
    seen, _ = watched(generation)
    seen.check()
    (generation / NAME).write_bytes(content)
    for _ in range(2):
        with pytest.raises(Mismatch, match=r"index\.faiss was changed while it is served") as caught:
            seen.check()
    assert caught.value.reason == "GENERATION_CORRUPT"


def test_a_file_that_is_removed_or_replaced_by_name_is_still_what_is_open(generation: Path) -> None:
    seen, _ = watched(generation)
    (generation / "other").write_bytes(b"VECTORS")
    (generation / "other").rename(generation / NAME)
    (generation / "catalog.sqlite").unlink()
    seen.check()
    seen.scrub(1000)
    seen.check()


def test_bytes_that_changed_without_a_trace_are_found_by_their_checksum(generation: Path) -> None:
    seen, _ = watched(generation)
    path = generation / NAME
    about = path.stat()
    path.write_bytes(b"vectorz")
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    seen.check()
    for _ in range(20):
        seen.scrub(3)
    with pytest.raises(Mismatch, match=r"index\.faiss no longer has the checksum"):
        seen.check()


def test_the_health_goes_when_a_file_has_changed(generation: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "INTERVAL", 0.001)
    seen, _ = watched(generation)
    gone = threading.Event()
    seen.start(gone.set)
    (generation / NAME).write_bytes(b"VECTORS")
    assert gone.wait(10)


def test_a_missing_file_is_refused_by_name(generation: Path) -> None:
    about = manifest.read(generation)
    (generation / NAME).unlink()
    with pytest.raises(Mismatch, match=r"index\.faiss is missing"):
        Watch(generation, about, [NAME])
